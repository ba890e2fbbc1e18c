"""``pioneer improve``, ``rollback``, ``watch`` and ``dead-letters``."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import typer
from aiokafka import AIOKafkaConsumer

from shared.cli.environment import client_settings, publishing
from shared.cli.narrate import narrate
from shared.events import (
    EVENTS,
    TOPICS,
    Event,
    FeedbackGiven,
    ImprovementRequested,
    RollbackRequested,
    TraceLogged,
    dead_letter_topic,
)

Model = Annotated[str, typer.Argument(help="The model's name.")]
# One line for each request would bury what the loop does with them.
WATCHED = tuple(e.topic for e in EVENTS if e not in (TraceLogged, FeedbackGiven))


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
    async with publishing() as publisher:
        await publisher.publish(event)


async def _watch(since_start: bool) -> None:
    consumer = _consumer(WATCHED, "earliest" if since_start else "latest")
    by_topic = {event.topic: event for event in EVENTS}
    await consumer.start()
    try:
        async for record in consumer:
            event = by_topic[record.topic].model_validate_json(record.value or b"")
            at = datetime.fromtimestamp(record.timestamp / 1000, UTC).strftime("%H:%M:%S")
            typer.echo(f"{at}  {event.model:<20} {narrate(event)}")
    finally:
        await consumer.stop()


async def _dead_letters() -> None:
    consumer = _consumer([dead_letter_topic(topic) for topic in TOPICS], "earliest")
    await consumer.start()
    try:
        while batches := await consumer.getmany(timeout_ms=2000):
            for record in (record for batch in batches.values() for record in batch):
                headers = {key: value.decode(errors="replace") for key, value in record.headers}
                typer.echo(f"{record.topic}@{record.offset}  {headers.get('error')}")
                typer.echo(f"    {(record.value or b'')[:200].decode(errors='replace')}")
    finally:
        await consumer.stop()


def _consumer(topics: Any, start: str) -> Any:
    settings = client_settings()
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset=start,
        max_partition_fetch_bytes=settings.max_message_bytes,
    )
