"""``pioneer models export``: a version's weights for servers that are not ours."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.checkpoint_export import (
    check_target,
    for_servers,
    is_whole,
    write_checkpoint,
)
from shared.adapters.ray_compute import RayCompute
from shared.cli.environment import client_settings, reading
from shared.domain.artifacts import ArtifactRef
from shared.errors import PermanentError, TransientError, UnknownThing
from shared.job_specs import MergeResult, MergeSpec
from shared.ports import Compute, JobFailed, JobLost, JobSucceeded

POLL_SECONDS = 1.0


def export(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    *,
    to: Annotated[Path, typer.Option(help="Folder to write, empty or not there yet.")],
    version: Annotated[
        int | None, typer.Option(help="Version to export; else the one in production.")
    ] = None,
    merged: Annotated[
        bool,
        typer.Option("--merged", help="Whole weights: the adapter merged into its base, on Ray."),
    ] = False,
) -> None:
    """Write a version's weights as safetensors: its LoRA adapter, or whole."""
    check_target(to)
    number, found = asyncio.run(_stored(name, version))
    artifacts = FsspecArtifacts(client_settings().artifacts_uri)
    files = artifacts.get_folder(found)
    if merged and not is_whole(files):
        typer.echo(f"a Ray job merges version {number} of {name} into its base")
        files = artifacts.get_folder(asyncio.run(_merged(found)))
    whole = is_whole(files)
    write_checkpoint(for_servers(files), to)
    what = "whole weights" if whole else "LoRA adapter; with --merged its base is in it"
    typer.echo(f"wrote version {number} of {name} to {to}: {what}")


async def _stored(name: str, version: int | None) -> tuple[int, ArtifactRef]:
    """(number, weights) of a version. Raises UnknownThing."""
    async with reading() as documents:
        document = await documents.get("models", name)
    if document is None:
        raise UnknownThing(f"models has no {name!r}: see pioneer models list")
    record: dict[str, Any] = document["state"]
    versions = {one["number"]: one["adapter"] for one in record["versions"]}
    number = record["deployments"][-1]["version"] if version is None else version
    if number not in versions:
        raise UnknownThing(f"model {name!r} has no version {number}: choose one of {[*versions]}")
    return number, ArtifactRef(**versions[number])


async def _merged(adapter: ArtifactRef) -> ArtifactRef:
    """Whole weights of an adapter. Raises PermanentError or TransientError when its job fails."""
    # An id of its own: a job that failed before must not answer for this one.
    job_id = f"merge-{uuid4()}"
    async with computing() as compute:
        await compute.submit(job_id, MergeSpec(adapter=adapter))
        while True:
            match await compute.poll(job_id):
                case JobSucceeded(MergeResult(model=model)):
                    return model
                case JobFailed(reason, permanent):
                    raise (PermanentError if permanent else TransientError)(reason)
                case JobLost():
                    raise TransientError(f"the Ray cluster lost job {job_id}: export again")
                case _:
                    await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def computing() -> AsyncGenerator[Compute]:
    settings = client_settings()
    compute = RayCompute(
        settings.ray_address,
        FsspecArtifacts(settings.artifacts_uri),
        artifacts_uri=settings.artifacts_uri,
        token=settings.ray_token,
        entrypoint_python=settings.ray_python,
    )
    try:
        yield compute
    finally:
        await compute.aclose()
