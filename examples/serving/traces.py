"""Traces and feedback on their way to Kafka, without ever delaying an answer."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.adapters.kafka import cloud_event_headers
from shared.errors import TransientError
from shared.events import Event, FeedbackGiven, TraceLogged

logger = logging.getLogger(__name__)

_SOURCE = "pioneer/serving"
_TOGETHER = 2_000
_BATCH_BYTES = 256_000
_TIMEOUT_MS = 10_000
_RETRY_S = 1.0
_FEEDBACK_S = 10.0


class TraceEmitter:
    """A bounded queue that a background task empties into Kafka.

    While Kafka is away traces wait; when the queue is full the newest is dropped and counted.
    A trace may be sent twice, under one id.
    """

    def __init__(self, client: Mapping[str, Any], *, max_queued: int) -> None:
        self._client = client
        self._max_queued = max_queued
        self._queue: deque[TraceLogged] = deque()
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._producer: AIOKafkaProducer | None = None
        self.sent = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def emit(self, trace: TraceLogged) -> None:
        """Queue a trace; returns at once."""
        if len(self._queue) >= self._max_queued:
            self._drop("the queue is full, Kafka takes them too slowly or is away")
            return
        self._queue.append(trace)
        self._arrived.set()
        self._empty.clear()

    async def send_feedback(self, feedback: FeedbackGiven) -> None:
        """Send feedback and wait until the broker has it. Raises TransientError."""
        if self._producer is None:
            raise TransientError("Kafka does not answer yet: send the feedback again later")
        try:
            await asyncio.wait_for(self._send(self._producer, feedback), _FEEDBACK_S)
        except (KafkaError, TimeoutError) as error:
            raise TransientError(
                f"Kafka did not take the feedback ({type(error).__name__}): send it again later"
            ) from error

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            producer = await self._connected()
            while True:
                await self._arrived.wait()
                if not await self._send_some(producer):
                    await asyncio.sleep(_RETRY_S)
        finally:
            if self._producer:
                await _stopped(self._producer)

    async def flush(self, seconds: float) -> None:
        """Wait until all is sent; what is left after ``seconds`` counts as dropped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), seconds)
        if self._queue:
            logger.error("%d traces were not sent before the end", len(self._queue))
            self.dropped += len(self._queue)
            self._queue.clear()

    async def _connected(self) -> AIOKafkaProducer:
        while True:
            producer = AIOKafkaProducer(
                **self._client,
                acks="all",
                linger_ms=5,
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=_TIMEOUT_MS,
            )
            try:
                await producer.start()
            except KafkaError as error:
                await _stopped(producer)
                logger.warning("cannot send traces, next try in %.0f s: %r", _RETRY_S, error)
                await asyncio.sleep(_RETRY_S)
            else:
                self._producer = producer
                return producer

    async def _send_some(self, producer: AIOKafkaProducer) -> bool:
        """Send the oldest traces; False when the broker did not take them all."""
        # They stay in the queue meanwhile: those on their way count against the bound too.
        oldest = list(islice(self._queue, _TOGETHER))
        outcomes = await asyncio.gather(
            *(self._send(producer, trace) for trace in oldest), return_exceptions=True
        )
        again = [
            trace
            for trace, outcome in zip(oldest, outcomes, strict=True)
            if not self._settled(outcome)
        ]
        for _ in range(min(len(oldest), len(self._queue))):
            self._queue.popleft()
        self._queue.extendleft(reversed(again))
        if again:
            logger.warning("%d traces wait for Kafka, the next try follows", len(self._queue))
        if not self._queue:
            self._arrived.clear()
            self._empty.set()
        return not again

    def _settled(self, outcome: object) -> bool:
        """Count a trace that was sent or never can be; False for one to send again."""
        if isinstance(outcome, KafkaError) and not isinstance(outcome, MessageSizeTooLargeError):
            return False
        if isinstance(outcome, BaseException):
            self._drop(f"it cannot be sent: {outcome!r}")
        else:
            self.sent += 1
        return True

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        # Once for each power of two: an outage must not flood the logs.
        if self.dropped & (self.dropped - 1) == 0:
            logger.error("trace dropped (%d so far): %s", self.dropped, reason)

    async def _send(self, producer: AIOKafkaProducer, event: Event) -> None:
        headers = cloud_event_headers(event, source=_SOURCE, now=datetime.now(UTC))
        await producer.send_and_wait(
            event.topic,
            event.model_dump_json().encode(),
            key=event.model.encode(),
            headers=[(name, value.encode()) for name, value in headers.items()],
        )


async def _stopped(producer: AIOKafkaProducer) -> None:
    # While the broker is away, stop() may raise a CancelledError of aiokafka's own.
    await asyncio.gather(producer.stop(), return_exceptions=True)
