"""Reading topics as an onlooker: no group, so it sees everything and disturbs nobody."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from shared.adapters.kafka_security import client_options
from shared.errors import TransientError
from shared.events import EVENTS, Event, FeedbackGiven, TraceLogged
from shared.settings import ServiceSettings

_BY_TOPIC = {event.topic: event for event in EVENTS}
# One line for each request would bury what the loop does with them.
LOOP_TOPICS = tuple(e.topic for e in EVENTS if e not in (TraceLogged, FeedbackGiven))


@dataclass(frozen=True, slots=True)
class Record:
    """A message as it lies on its topic."""

    topic: str
    offset: int
    at: datetime
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Event:
        """The typed message. Raises ValidationError on a topic of ours with a foreign message."""
        return _BY_TOPIC[self.topic].model_validate_json(self.body)


@asynccontextmanager
async def reading_topics(
    settings: ServiceSettings, topics: Iterable[str], *, from_start: bool
) -> AsyncGenerator["TopicReader"]:
    """Read topics from their beginning, or what comes from now on. Raises TransientError."""
    consumer = AIOKafkaConsumer(
        *topics,
        **client_options(settings),
        auto_offset_reset="earliest" if from_start else "latest",
        max_partition_fetch_bytes=settings.max_message_bytes,
    )
    try:
        await consumer.start()
    except KafkaError as error:
        await consumer.stop()
        raise TransientError(
            f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {error}"
        ) from error
    try:
        yield TopicReader(consumer)
    finally:
        await consumer.stop()


class TopicReader:
    """Records of some topics, in the order they come."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    async def __aiter__(self) -> AsyncIterator[Record]:
        """For ever."""
        async for record in self._consumer:
            yield _record(record)

    async def until_quiet(self, seconds: float = 2.0) -> list[Record]:
        """Everything until nothing has come for some seconds."""
        found: list[Record] = []
        while batches := await self._consumer.getmany(timeout_ms=round(seconds * 1000)):
            found += [_record(record) for batch in batches.values() for record in batch]
        return found


def _record(record: Any) -> Record:
    return Record(
        topic=record.topic,
        offset=record.offset,
        at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
        headers={key: (value or b"").decode(errors="replace") for key, value in record.headers},
        body=record.value or b"",
    )
