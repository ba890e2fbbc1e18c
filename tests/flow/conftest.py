"""Five services on FastStream's in-memory broker, with fakes for everything else."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faststream.kafka import KafkaBroker, KafkaMessage, TestKafkaBroker
from pydantic import ValidationError

from services.controller import app as controller
from services.controller.settings import ControllerSettings
from services.diagnoser import app as diagnoser
from services.diagnoser.adapters.http_endpoint import HttpEndpoint
from services.diagnoser.ports import ModelEndpoint
from services.diagnoser.settings import DiagnoserSettings
from services.synthesizer import app as synthesizer
from services.synthesizer.settings import SynthesizerSettings
from services.trainer import app as trainer
from services.trainer.settings import TrainerSettings
from services.verifier import app as verifier
from services.verifier.settings import VerifierSettings
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.chat_ledger import DocumentLedger
from shared.adapters.kafka import EventPublisher, make_broker
from shared.chat.asking import Chat
from shared.chat.ports import ChatModel
from shared.domain.chat_calls import Budget, Prices
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.events import EVENTS, Event, ModelRegistered, TraceLogged, dead_letter_topic
from shared.parts import Parts
from shared.service import Loop
from shared.settings import ServiceSettings
from tests.fakes.compute import InMemoryCompute
from tests.fakes.documents import InMemoryDocuments, InMemoryTraces

ADDRESSES: dict[str, Any] = {
    "KAFKA_BOOTSTRAP_SERVERS": "nowhere:9092",
    "MONGODB_URI": "mongodb://nowhere",
    "RAY_ADDRESS": "http://nowhere:8265",
    "ARTIFACTS_URI": "memory://unused",
}
MODEL = "desk"


@dataclass
class Clock:
    """Time that passes only when a test says so."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class DeadLetter:
    topic: str
    body: bytes
    error: str


@dataclass
class House:
    """The whole system in memory, and what was heard on its topics."""

    broker: KafkaBroker
    publisher: EventPublisher
    documents: InMemoryDocuments
    traces: InMemoryTraces
    compute: InMemoryCompute
    artifacts: FsspecArtifacts
    clock: Clock
    loops: list[Loop] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    async def publish(self, event: Event) -> None:
        await self.publisher.publish(event)

    async def run_loops(self, rounds: int = 12, seconds: float = 5) -> None:
        """Let every service's loops run a few times, with time passing in between."""
        for _ in range(rounds):
            self.clock.pass_seconds(seconds)
            for loop in self.loops:
                await loop.step()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    async def deploy(
        self,
        rows: Sequence[Row],
        labels: Sequence[str],
        *,
        endpoint: str | None = None,
        task: Task | None = None,
    ) -> ModelRegistered:
        """Register a model that answers like these rows: it classifies, unless a task is given."""
        event = ModelRegistered(
            id="registration",
            model=MODEL,
            task=task or Task(TaskKind.CLASSIFICATION, tuple(sorted(set(labels)))),
            base_model="base",
            adapter=self.compute.train(rows, task),
            training_set=self.artifacts.put(dump_rows(rows), name="training.jsonl"),
            endpoint=endpoint,
        )
        await self.publish(event)
        return event

    async def serve(self, rows: Sequence[Row], event: ModelRegistered, version: int = 1) -> int:
        """Answer these rows with the registered model and log the traces; how many were wrong."""
        outputs = self.compute.load(event.adapter).predict([row.text for row in rows])
        for row, output in zip(rows, outputs, strict=True):
            await self.publish(trace(row, output, version))
        return sum(o != r.target for o, r in zip(outputs, rows, strict=True))


def trace(row: Row, output: str, version: int = 1, **more: Any) -> TraceLogged:
    """What serving logs of one request."""
    fields: dict[str, Any] = {
        "id": row.id,
        "model": MODEL,
        "model_version": version,
        "input": row.text,
        "output": output,
        "reference": row.target,
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return TraceLogged(**(fields | more))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with built_house(tmp_path) as built:
        yield built


@asynccontextmanager
async def built_house(
    folder: Path,
    *,
    chat: ChatModel | None = None,
    endpoint: Callable[[str], ModelEndpoint] = HttpEndpoint,
    **more: Any,
) -> AsyncGenerator[House]:
    """The house, with a chat model if asked; ``more`` are settings of all services."""
    artifacts = FsspecArtifacts(folder.as_uri())
    settings = ServiceSettings(**ADDRESSES)
    broker = make_broker(settings, service="test")
    built = House(
        broker=broker,
        publisher=EventPublisher(broker, source="test"),
        documents=InMemoryDocuments(),
        traces=InMemoryTraces(),
        compute=InMemoryCompute(artifacts),
        artifacts=artifacts,
        clock=Clock(),
    )
    parts = Parts(broker, built.publisher, built.documents, artifacts, built.compute)
    tuned = {**ADDRESSES, "min_failures": 10, "quiet_seconds": 1, "max_iterations": 2, **more}
    asked = _chat(chat, built) if chat else None
    built.loops += diagnoser.wire(
        DiagnoserSettings(**tuned),
        parts,
        built.traces,
        built.clock,
        chat=asked,
        endpoint=endpoint,
    )
    built.loops += synthesizer.wire(SynthesizerSettings(**tuned), parts, chat=asked)
    built.loops += trainer.wire(TrainerSettings(**ADDRESSES), parts, built.clock)
    built.loops += verifier.wire(VerifierSettings(**ADDRESSES), parts, built.clock, chat=asked)
    built.loops += controller.wire(ControllerSettings(**tuned), parts, built.clock, chat=asked)
    _listen(broker, built)
    async with TestKafkaBroker(broker):
        yield built


def _chat(model: ChatModel, house: House) -> Chat:
    return Chat(
        model,
        DocumentLedger(house.documents),
        clock=house.clock,
        budget=Budget(10**6),
        prices=Prices(),
        concurrency=1,
        sleep=_no_wait,
    )


async def _no_wait(_: float) -> None:
    return None


def _listen(broker: KafkaBroker, house: House) -> None:
    for event in EVENTS:
        _hear(broker, house, event)
        _hear_dead(broker, house, event.topic)


def _hear(broker: KafkaBroker, house: House, event: type[Event]) -> None:
    @broker.subscriber(event.topic, group_id="ear", decoder=_undecoded)
    async def hear(message: KafkaMessage) -> None:
        with suppress(ValidationError):
            house.heard.append(event.model_validate_json(message.body))


def _hear_dead(broker: KafkaBroker, house: House, topic: str) -> None:
    @broker.subscriber(dead_letter_topic(topic), group_id="ear", decoder=_undecoded)
    async def hear(message: KafkaMessage) -> None:
        house.dead.append(DeadLetter(topic, message.body, message.headers["error"]))


async def _undecoded(message: KafkaMessage) -> None:
    return None
