"""``pioneer start``: a task in a sentence, from which a first version is trained."""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import publishing
from shared.adapters.kafka_reader import TopicReader, reading_topics
from shared.cli.environment import client_settings
from shared.cli.narrate import narrate
from shared.cli.task_files import declared_task, located, surveyed
from shared.errors import BadInput, PermanentError
from shared.events import Event, RunClosed, TaskPrepared, TaskRefused, TaskSubmitted


def start(
    description: Annotated[
        str, typer.Argument(help='What the model shall do: "classify support messages by intent".')
    ],
    *,
    model: Annotated[str, typer.Option(help="Name of the model; traces will carry it.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="JSONL file, folder with train.jsonl (and test.jsonl), or the name of a data set "
            "in PIONEER_CATALOGUE or at Hugging Face (owner/name:configuration). Without it the "
            "services' chat model writes rows."
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="Share of the locked set that shall be right; else the best of a survey, else "
            "from the data."
        ),
    ] = None,
    survey: Annotated[
        Path | None,
        typer.Option(
            help="JSON of what others reached, each with name, measure and score; else survey.json "
            "in the folder of rows."
        ),
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
            survey=surveyed(survey, data),
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
