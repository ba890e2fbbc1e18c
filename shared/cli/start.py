"""``pioneer start``: a task in a sentence, from which a first version is trained."""

import asyncio
import json
import re
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import uuid4

import typer
from pydantic import ValidationError

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import publishing
from shared.adapters.kafka_reader import TopicReader, reading_topics
from shared.adapters.writer_import import FORM, declared
from shared.cli.environment import client_settings
from shared.cli.narrate import narrate
from shared.domain.artifacts import ArtifactRef
from shared.domain.row_files import kind_of, read_rows
from shared.domain.tasks import Task
from shared.errors import BadInput, PermanentError
from shared.events import Event, RunClosed, TaskPrepared, TaskRefused, TaskSubmitted

_TRAIN, _TEST = "train.jsonl", "test.jsonl"
_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def start(
    description: Annotated[
        str, typer.Argument(help='What the model shall do: "classify support messages by intent".')
    ],
    *,
    model: Annotated[str, typer.Option(help="Name of the model; traces will carry it.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="JSONL file, folder with train.jsonl (and test.jsonl), or a Hugging Face data "
            "set. Without it the services' chat model writes rows."
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="Share of the locked set that shall be right; else from the data."),
    ] = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face id or folder to train from; MiniLM if the model does not write."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="The only labels there are, separated by commas.")
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(help="classification, ner or generation; else rows and description tell."),
    ] = None,
    form: Annotated[
        Path | None,
        typer.Option(
            help="How written answers are asked for and scored, as task.json of a registered "
            "model; else task.json in the folder of rows."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long to wait for the task to be taken or refused.")
    ] = 150.0,
) -> None:
    """Train and promote a first version for a task that has no model yet."""
    settings = client_settings()
    rows, test, data_set = located(FsspecArtifacts(settings.artifacts_uri), data)
    said = declared_task(form, data)
    named = {one.strip() for one in (labels or "").split(",")} - {""}
    try:
        event = TaskSubmitted(
            id=str(uuid4()),
            model=model,
            description=description,
            base_model=base_model,
            rows=rows,
            test=test,
            data_set=data_set,
            labels=tuple(sorted(named)) or (said.labels if said else ()),
            kind=family,
            form=said.form if said else None,
            target=target,
        )
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise BadInput(f"{wrong['loc'][0]} {wrong['input']!r}: {wrong['msg']}") from None
    answer = asyncio.run(_answered(event, seconds))
    match answer:
        case None:
            typer.echo(f"asked to start {model}, no answer yet; follow it with: pioneer watch")
        case TaskPrepared():
            typer.echo(narrate(answer))
            typer.echo(f"run {answer.run_id[:8]} trains it; follow it with: pioneer watch")
        case TaskRefused(reason=reason) | RunClosed(reason=reason):
            raise PermanentError(reason)
        case _:
            pass


def located(
    artifacts: FsspecArtifacts, data: str | None
) -> tuple[ArtifactRef | None, ArtifactRef | None, str | None]:
    """(rows, test rows, data set): files are stored as they are, a name is left to the services.

    Raises BadInput naming the row that does not fit, or what is missing.
    """
    if data is None:
        return None, None, None
    path = Path(data).expanduser()
    if path.is_file():
        return _stored(artifacts, path), None, None
    if path.is_dir():
        if not (path / _TRAIN).is_file():
            raise BadInput(f"{path} has no {_TRAIN}: put the rows to learn into it")
        test = path / _TEST
        stored = _stored(artifacts, test) if test.is_file() else None
        return _stored(artifacts, path / _TRAIN), stored, None
    if not _ON_THE_HUB.fullmatch(data) or data.endswith(".jsonl"):
        raise BadInput(f"{data} is neither a file nor a folder: give one, or a data set's name")
    return None, None, data


def declared_task(form: Path | None, data: str | None) -> Task | None:
    """What a file, or one beside the rows, says of written answers. Raises BadInput naming it."""
    beside = Path(data or "").expanduser() / FORM
    file = form or (beside if data and beside.is_file() else None)
    if file is None:
        return None
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give a file of JSON") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput(f'{file}: is no JSON object: write {{"form": {{…}}}} into it')
    return declared(cast("dict[str, Any]", found), file)


def _stored(artifacts: FsspecArtifacts, file: Path) -> ArtifactRef:
    data = file.read_bytes()
    # Read here too: whoever asks hears at once of a row that does not fit.
    read_rows(data, kind_of(data, name=str(file)), name=str(file))
    return artifacts.put(data, name=file.name)


async def _answered(event: TaskSubmitted, seconds: float) -> Event | None:
    """The first event of the run that the task asks for; None when none came in time."""
    settings = client_settings()
    topics = [kind.topic for kind in (TaskPrepared, TaskRefused, RunClosed)]
    async with (
        reading_topics(settings, topics, from_start=True) as reader,
        publishing(settings, source="cli") as publisher,
    ):
        await publisher.publish(event)
        try:
            async with asyncio.timeout(seconds):
                return await _first_of(reader, event.run_id)
        except TimeoutError:
            return None


async def _first_of(reader: TopicReader, run_id: str) -> Event | None:
    async for record in reader:
        try:
            found = record.event
        except ValidationError:
            continue
        if isinstance(found, TaskPrepared | TaskRefused | RunClosed) and found.run_id == run_id:
            return found
    return None
