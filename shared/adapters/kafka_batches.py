"""Batches from Kafka: decode each record by itself, so that one bad record costs only itself."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from faststream.kafka import KafkaBroker, KafkaMessage

from shared.adapters.kafka import bury, consumer_options, decode_event
from shared.errors import DEFECTS, BadInput, PermanentError
from shared.events import Event
from shared.settings import ServiceSettings

logger = logging.getLogger(__name__)

AnyEvent = TypeVar("AnyEvent", bound=Event)
# Takes a batch; says which places in it were refused, and why.
TakeBatch = Callable[[Sequence[AnyEvent]], Awaitable[Mapping[int, PermanentError]]]


def subscribe_batches(
    broker: KafkaBroker,
    settings: ServiceSettings,
    event: type[AnyEvent],
    take: TakeBatch[AnyEvent],
    *,
    service: str,
    max_records: int,
) -> None:
    """Feed ``take`` with batches of one event type; what is refused becomes a dead letter."""
    options = consumer_options(settings, service=service, topic=event.topic)
    subscriber = broker.subscriber(
        event.topic,
        batch=True,
        max_records=max_records,
        batch_timeout_ms=200,
        decoder=_no_decoding,
        title=event.topic,
        **options,
    )

    @subscriber
    async def handle(message: KafkaMessage) -> None:  # pyright: ignore[reportUnusedFunction]
        records: Any = message.raw_message
        refused: list[tuple[Any, Exception]] = []
        events, sources = list[AnyEvent](), list[Any]()
        for record in records:
            try:
                events.append(decode_event(event, record.value or b""))
            except BadInput as error:
                refused.append((record, error))
            else:
                sources.append(record)
        refused += [(sources[at], error) for at, error in (await _take(take, events)).items()]
        # Last: a batch that is tried again must not leave its dead letters twice.
        for record, error in refused:
            await _bury(broker, record, error)


async def _take(take: TakeBatch[AnyEvent], events: Sequence[AnyEvent]) -> Mapping[int, Exception]:
    if not events:
        return {}
    try:
        return await take(events)
    except (PermanentError, *DEFECTS):
        logger.exception("a batch of %d failed, taking its events one by one", len(events))
    refused: dict[int, Exception] = {}
    for place, event in enumerate(events):
        try:
            if error := (await take([event])).get(0):
                refused[place] = error
        except (PermanentError, *DEFECTS) as error:
            refused[place] = error
    return refused


async def _bury(broker: KafkaBroker, record: Any, error: Exception) -> None:
    await bury(broker, record.topic, record.key, record.value or b"", error, offset=record.offset)


async def _no_decoding(_: KafkaMessage) -> None:
    # The default would parse every record once more, and fail the batch for one that is not JSON.
    return None
