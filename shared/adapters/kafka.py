"""Kafka through FastStream: typed subscribers, CloudEvents headers, dead letters.

Delivery is at least once: offsets are committed after the handler returned. What can never be
handled goes to ``<topic>.dlq`` with its reason, and the consumer goes on.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faststream import AckPolicy, BaseMiddleware
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.message import StreamMessage
from pydantic import ValidationError

from shared.adapters.kafka_security import broker_security
from shared.errors import DEFECTS, BadInput, PermanentError, TransientError
from shared.events import Event, dead_letter_topic
from shared.logs import log_context
from shared.settings import ServiceSettings

logger = logging.getLogger(__name__)

AnyEvent = TypeVar("AnyEvent", bound=Event)

RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# What every broker with default limits takes.
MAX_DEAD_LETTER_BYTES = 900_000


def make_broker(settings: ServiceSettings, *, service: str) -> KafkaBroker:
    """A broker for one service, with our delivery rules; connects when it is started."""
    return KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),
        client_id=f"pioneer-{service}",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        middlewares=[DeadLetters],
        parser=_tolerant_parser,
        max_request_size=settings.max_message_bytes,
        security=broker_security(settings),
        acks="all",
        logger=None,
    )


def consumer_options(settings: ServiceSettings, *, service: str, topic: str) -> dict[str, Any]:
    """Options of every subscriber: own group for each topic, from the first message on."""
    session = settings.kafka_session_timeout_ms
    return {
        "group_id": f"pioneer.{service}.{topic}",
        "auto_offset_reset": "earliest",
        "session_timeout_ms": session,
        "rebalance_timeout_ms": max(1000, session * 2 // 3),
        "heartbeat_interval_ms": max(300, session // 5),
        "max_partition_fetch_bytes": settings.max_message_bytes,
    }


def subscribe(
    broker: KafkaBroker,
    settings: ServiceSettings,
    event: type[AnyEvent],
    handle: Callable[[AnyEvent], Awaitable[None]],
    *,
    service: str,
) -> None:
    """Call ``handle`` with every event of one type; what does not decode becomes a dead letter."""

    async def decode(message: KafkaMessage) -> AnyEvent:
        return decode_event(event, message.body)

    async def typed(body: AnyEvent) -> None:
        with log_context(model=body.model, run_id=getattr(body, "run_id", None)):
            await handle(body)

    # FastStream reads the schema of the AsyncAPI document from the annotation.
    typed.__annotations__["body"] = event
    options = consumer_options(settings, service=service, topic=event.topic)
    broker.subscriber(event.topic, decoder=decode, title=event.topic, **options)(typed)


def decode_event(event: type[AnyEvent], body: bytes) -> AnyEvent:
    """An event from its JSON body. Raises BadInput with the field, the problem and the value."""
    try:
        return event.model_validate_json(body)
    except ValidationError as error:
        raise BadInput(f"not a valid {event.topic} message: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """The first problem of a validation error in one short sentence."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return "the body is not JSON"
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return f"{where}: {first['msg']}, got {str(first['input'])[:80]!r}"


class EventPublisher:
    """Publishes events with their CloudEvents headers, keyed by model."""

    def __init__(self, broker: KafkaBroker, *, source: str) -> None:
        self._broker = broker
        self._source = f"pioneer/{source}"

    async def publish(self, event: Event) -> None:
        """Send one event and wait until the broker has it. Raises TransientError."""
        try:
            await self._broker.publish(
                event,
                topic=event.topic,
                key=event.model.encode(),
                headers=cloud_event_headers(event, source=self._source, now=datetime.now(UTC)),
            )
        except KafkaError as error:
            raise TransientError(f"cannot publish {event.topic} {event.id}: {error!r}") from error


@asynccontextmanager
async def publishing(settings: ServiceSettings, *, source: str) -> AsyncGenerator[EventPublisher]:
    """A connected publisher for a process that is no service. Raises TransientError."""
    broker = make_broker(settings, service=source)
    try:
        try:
            await broker.connect()
        except KafkaError as error:
            raise TransientError(
                f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {error}"
            ) from error
        yield EventPublisher(broker, source=source)
    finally:
        await broker.stop()


def cloud_event_headers(event: Event, *, source: str, now: datetime) -> dict[str, str]:
    """CloudEvents 1.0 attributes, Kafka binary mode."""
    return {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_type": f"pioneer.{event.topic}",
        "ce_source": source,
        "ce_subject": event.model,
        "ce_time": now.isoformat(),
        "content-type": "application/json",
    }


class DeadLetters(BaseMiddleware):
    """Retries what may pass; what never will goes to ``<topic>.dlq``, and the consumer goes on."""

    async def consume_scope(
        self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]
    ) -> Any:
        headers = msg.headers or {}
        with log_context(model=headers.get("ce_subject")):
            for delay in (*RETRY_DELAYS_S, None):
                try:
                    return await call_next(msg)
                except TransientError as error:
                    if delay is None:
                        # Not committed: the message comes back, so nothing is lost meanwhile.
                        raise
                    logger.warning("retry in %.1f s: %s", delay, error)
                    await asyncio.sleep(delay)
                except PermanentError as error:
                    return await self._bury(msg, error)
                except DEFECTS as error:
                    logger.exception("unexpected error, message goes to the dead letters")
                    return await self._bury(msg, error)
        return None

    async def _bury(self, msg: StreamMessage[Any], error: Exception) -> None:
        record = msg.raw_message
        if isinstance(record, tuple | list):
            raise error
        broker: KafkaBroker = self.context.get("broker")
        await bury(broker, record.topic, record.key, msg.body, error, offset=record.offset)


async def bury(
    broker: KafkaBroker,
    topic: str,
    key: bytes | None,
    body: bytes,
    error: Exception,
    *,
    offset: int,
) -> None:
    """Keep a message that can never be handled, with the reason in its headers."""
    logger.warning("dead letter from %s@%d: %s", topic, offset, error)
    headers = {
        "error": str(error)[:2000],
        "error_type": type(error).__name__,
        "original_topic": topic,
        "original_offset": str(offset),
        "original_bytes": str(len(body)),
    }
    dead_letters = dead_letter_topic(topic)
    try:
        await broker.publish(body, topic=dead_letters, key=key, headers=headers)
    except MessageSizeTooLargeError:
        # The dead letter topic takes less than the topic itself: keep what fits, and say so.
        headers |= {"truncated": "true", "original_sha256": hashlib.sha256(body).hexdigest()}
        kept = body[:MAX_DEAD_LETTER_BYTES]
        await broker.publish(kept, topic=dead_letters, key=key, headers=headers)
    except KafkaError as failure:
        raise TransientError(f"cannot publish to {dead_letters}: {failure!r}") from failure


async def _tolerant_parser(
    msg: Any, original: Callable[[Any], Awaitable[KafkaMessage]]
) -> KafkaMessage:
    """Headers of foreign producers may hold any bytes; they must not stop a consumer."""
    records = msg if isinstance(msg, tuple | list) else (msg,)
    for record in records:
        if any(not _is_text(value) for _, value in record.headers):
            record.headers = [
                (k, (v or b"").decode(errors="replace").encode()) for k, v in record.headers
            ]
    return await original(msg)


def _is_text(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return value is not None
