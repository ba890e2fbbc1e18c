"""``pioneer improve``, ``rollback``, ``watch`` and ``dead-letters``."""

import asyncio
from contextlib import suppress
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError

from shared.adapters.kafka import publishing
from shared.adapters.kafka_reader import LOOP_TOPICS, reading_topics
from shared.cli.environment import client_settings
from shared.cli.narrate import narrate
from shared.events import (
    TOPICS,
    Event,
    ImprovementRequested,
    RollbackRequested,
    dead_letter_topic,
)

Model = Annotated[str, typer.Argument(help="The model's name.")]


def improve(model: Model) -> None:
    """Diagnose what failed so far now, without waiting for the thresholds."""
    asyncio.run(_publish(ImprovementRequested(id=str(uuid4()), model=model)))
    typer.echo(f"asked for an improvement of {model}; follow it with: pioneer watch")


def rollback(
    model: Model,
    to: Annotated[int | None, typer.Option(help="Version to serve; else the one before.")] = None,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "requested by an operator",
) -> None:
    """Put an earlier version of a model back into production."""
    event = RollbackRequested(id=str(uuid4()), model=model, to_version=to, reason=reason)
    asyncio.run(_publish(event))
    typer.echo(f"asked to roll {model} back; see: pioneer models show {model}")


def watch(
    since_start: Annotated[bool, typer.Option(help="Begin with the oldest event.")] = False,
) -> None:
    """Print what happens to all models, a line for each event, until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_watch(since_start))


def dead_letters() -> None:
    """Print every message that was refused, with its reason."""
    asyncio.run(_dead_letters())


async def _publish(event: Event) -> None:
    async with publishing(client_settings(), source="cli") as publisher:
        await publisher.publish(event)


async def _watch(since_start: bool) -> None:
    settings = client_settings()
    async with reading_topics(settings, LOOP_TOPICS, from_start=since_start) as reader:
        async for record in reader:
            try:
                event = record.event
            except ValidationError:
                typer.echo(f"{record.at:%H:%M:%S}  unreadable: {record.topic}@{record.offset}")
                continue
            typer.echo(f"{record.at:%H:%M:%S}  {event.model:<20} {narrate(event)}")


async def _dead_letters() -> None:
    settings = client_settings()
    topics = [dead_letter_topic(topic) for topic in TOPICS]
    async with reading_topics(settings, topics, from_start=True) as reader:
        for record in await reader.until_quiet():
            typer.echo(f"{record.topic}@{record.offset}  {record.headers.get('error')}")
            typer.echo(f"    {record.body[:200].decode(errors='replace')}")
