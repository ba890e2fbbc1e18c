"""``pioneer models``: register a model, list models, show one with its history."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.checkpoint_import import import_checkpoint
from shared.adapters.kafka import publishing
from shared.cli.environment import client_settings, reading
from shared.cli.row_files import evaluation_rows, training_rows
from shared.data_sets import PlacedRow, check_labels
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.rows import EvalPart, EvalRow, dump_rows
from shared.errors import UnknownThing
from shared.events import ModelRegistered

app = typer.Typer(help="Register and inspect models.", no_args_is_help=True)
console = Console()


@app.command()
def register(
    name: Annotated[str, typer.Argument(help="Name that traces will carry as their model.")],
    adapter: Annotated[
        Path, typer.Option(help="Folder of the deployed checkpoint (docs/input.md).")
    ],
    *,
    base_model: Annotated[
        str | None,
        typer.Option(help="Hugging Face id or folder new versions are trained from."),
    ] = None,
    training_set: Annotated[
        Path | None,
        typer.Option(
            help="JSONL it was trained on, for replay: text and label, tokens and tags, "
            "or prompt and answer."
        ),
    ] = None,
    evaluation_set: Annotated[
        Path | None, typer.Option(help="JSONL that no later version may break, of the same form.")
    ] = None,
    drop_leaks: Annotated[
        bool,
        typer.Option(
            "--drop-leaks", help="Leave out rows of the evaluation set that are trained on."
        ),
    ] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(help="URL the model answers at, such as http://host:8200/v1, for probes."),
    ] = None,
) -> None:
    """Register a model in production that classifies or writes: PEFT or Hugging Face layout."""
    artifacts = FsspecArtifacts(client_settings().artifacts_uri)
    imported = import_checkpoint(artifacts, adapter, name=name, base_model=base_model)
    task = imported.task
    check_labels(task)
    training = training_rows(training_set, task)
    evaluation, dropped = evaluation_rows(evaluation_set, task, training, drop_leaks=drop_leaks)
    if dropped:
        console.print(f"left out {dropped} rows of {evaluation_set}: they are trained on")
    event = ModelRegistered(
        id="to be derived",
        model=name,
        task=task,
        base_model=imported.base_model,
        adapter=imported.ref,
        training_set=_stored_training(artifacts, training),
        evaluation_set=_stored_evaluation(artifacts, evaluation),
        endpoint=endpoint,
    )
    cause = derive_id("registered", event.model_dump_json())
    asyncio.run(_publish(event.model_copy(update={"id": cause})))
    console.print(f"asked to register {name}: {_answers(task.labels)}, {imported.ref}")
    console.print(f"see: pioneer models show {name}; if it was refused: pioneer dead-letters")


@app.command("list")
def list_models() -> None:
    """All models, what is in production and since when."""
    table = Table("model", "version", "held-out score", "since", "reason")
    for document in asyncio.run(_find("models")):
        record = document["state"]
        latest = record["deployments"][-1]
        version = next(v for v in record["versions"] if v["number"] == latest["version"])
        score = version["heldout_score"]
        table.add_row(
            record["name"],
            str(latest["version"]),
            "–" if score is None else f"{score:.3f}",
            latest["at"],
            latest["reason"],
        )
    console.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="The model's name.")]) -> None:
    """One model: its versions, and what was deployed when and why."""
    document = asyncio.run(_get("models", name))
    record = document["state"]
    console.print(f"[bold]{name}[/bold]: {_answers(record['task']['labels'])}")
    versions = Table("version", "base model", "held-out score", "run", "adapter", title="versions")
    for version in record["versions"]:
        score = version["heldout_score"]
        versions.add_row(
            str(version["number"]),
            version["base_model"],
            "–" if score is None else f"{score:.3f}",
            version["run_id"] or "–",
            version["adapter"]["sha256"][:12],
        )
    history = Table("#", "version", "at", "kind", "reason", title="deployments")
    for deployment in record["deployments"]:
        history.add_row(
            *(str(deployment[k]) for k in ("number", "version", "at", "kind", "reason"))
        )
    console.print(versions, history)


def _answers(labels: Sequence[str]) -> str:
    return f"{len(labels)} labels" if labels else "free answers"


def _stored_training(artifacts: FsspecArtifacts, rows: list[PlacedRow]) -> ArtifactRef | None:
    if not rows:
        return None
    return artifacts.put(dump_rows(one.row for one in rows), name="training.jsonl")


def _stored_evaluation(artifacts: FsspecArtifacts, rows: list[PlacedRow]) -> ArtifactRef | None:
    if not rows:
        return None
    guarded = [
        EvalRow(r.row.id, r.row.text, r.row.target, EvalPart.REGRESSION, right_before=True)
        for r in rows
    ]
    return artifacts.put(dump_rows(guarded), name="evaluation.jsonl")


async def _publish(event: ModelRegistered) -> None:
    async with publishing(client_settings(), source="cli") as publisher:
        await publisher.publish(event)


async def _find(collection: str) -> list[dict[str, Any]]:
    async with reading() as documents:
        return await documents.find(collection, {})


async def _get(collection: str, key: str) -> dict[str, Any]:
    async with reading() as documents:
        document = await documents.get(collection, key)
    if document is None:
        raise UnknownThing(f"{collection} has no {key!r}: see pioneer {collection} list")
    return document
