"""Which version to serve, read from Kafka. Plain aiokafka: copy this file into your own server.

Every replica reads both topics from their beginning, without a consumer group, so each sees every
deployment of its model, whenever it starts.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from shared.adapters.kafka import decode_event
from shared.errors import BadInput
from shared.events import ModelPromoted, ModelRolledBack

logger = logging.getLogger(__name__)

Deployment = ModelPromoted | ModelRolledBack
TOPICS: Mapping[str, type[Deployment]] = {e.topic: e for e in (ModelPromoted, ModelRolledBack)}
_POLL_MS = 500
_RETRY_S = 2.0
_NEW_TOPICS_S = 3.0
# Some brokers report an end that no reader ever reaches: silence this long counts as the end.
_QUIET_POLLS = 10


class DeploymentFeed:
    """Delivers one model's deployments: first all there are in one call, then each as it comes."""

    def __init__(
        self,
        client: Mapping[str, Any],
        model: str,
        deliver: Callable[[Sequence[Deployment]], None],
    ) -> None:
        self._client = client
        self._model = model
        self._deliver = deliver
        self.caught_up = False
        """Whether everything that was there at the start has been delivered."""

    async def run(self) -> None:
        """Follow until cancelled; a broker that goes away is waited for."""
        while True:
            consumer = AIOKafkaConsumer(
                **self._client,
                group_id=None,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            try:
                await consumer.start()
                await self._follow(consumer)
            except KafkaError as error:
                logger.warning("cannot read deployments, next try in %.0f s: %r", _RETRY_S, error)
            finally:
                # While the broker is away, stop() may raise a CancelledError of aiokafka's own.
                await asyncio.gather(consumer.stop(), return_exceptions=True)
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        early: list[Deployment] = []
        quiet, look_again = 0, 0.0
        while True:
            if time.monotonic() >= look_again:
                await _subscribe_to_all(consumer)
                look_again = time.monotonic() + _NEW_TOPICS_S
            records = await _poll(consumer)
            quiet = 0 if records else quiet + 1
            found = [event for record in records if (event := self._ours(record))]
            if self.caught_up:
                if found:
                    self._deliver(found)
                continue
            early += found
            if not records and await _at_end(consumer, quiet):
                self._deliver(early)
                self.caught_up = True

    def _ours(self, record: Any) -> Deployment | None:
        if record.value is None:
            return None
        try:
            event = decode_event(TOPICS[record.topic], record.value)
        except BadInput as error:
            logger.warning("skipped %s@%d: %s", record.topic, record.offset, error)
            return None
        return event if event.model == self._model else None


async def _subscribe_to_all(consumer: AIOKafkaConsumer) -> None:
    """Read all topics there are; those not created yet are taken in later."""
    # Asking for a missing topic by its name would make some brokers create it.
    there = TOPICS.keys() & await consumer.topics()
    if there - consumer.subscription():
        # Starts all of them from the beginning again, and a repeat changes nothing.
        consumer.subscribe(sorted(there))


async def _poll(consumer: AIOKafkaConsumer) -> list[Any]:
    if not consumer.subscription():
        await asyncio.sleep(_POLL_MS / 1000)
        return []
    records = await consumer.getmany(timeout_ms=_POLL_MS)
    return [record for partition in records.values() for record in partition]


async def _at_end(consumer: AIOKafkaConsumer, quiet: int) -> bool:
    partitions = consumer.assignment()
    if {partition.topic for partition in partitions} != TOPICS.keys() & await consumer.topics():
        return False
    ends = await consumer.end_offsets(list(partitions)) if partitions else {}
    if quiet >= _QUIET_POLLS:
        return True
    return all([await consumer.position(p) >= ends[p] for p in partitions])
