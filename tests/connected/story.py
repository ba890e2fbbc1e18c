"""What every connected test of the loop begins with: a deployed model and its traffic."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import publishing
from shared.adapters.kafka_reader import LOOP_TOPICS, reading_topics
from shared.adapters.mongo import MongoDocuments
from shared.adapters.ray_compute import RayCompute
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.events import Event, ModelPromoted, ModelRegistered, RunClosed, TraceLogged
from shared.job_specs import (
    CandidateSpec,
    EvaluateResult,
    EvaluateSpec,
    JobResult,
    JobSpec,
    ModelSpec,
    TrainResult,
    TrainSpec,
)
from shared.local.services import ServiceProcesses
from shared.ports import JobFailed, JobSucceeded
from shared.settings import ServiceSettings

SAMPLE = Path(__file__).parents[2] / "examples" / "support_desk" / "train.jsonl"
LABELS = ("charged_twice", "payment_declined", "repair_status", "warranty_claim")
BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SEED_ROWS, TRAFFIC_END = 5, 55
WEAK = Recipe(
    Hyperparameters(BASE_MODEL, learning_rate=2e-4, epochs=3, batch_size=8), Strategy(Method.FULL)
)

AnyEvent = TypeVar("AnyEvent", bound=Event)


@dataclass(frozen=True)
class Answered:
    """A weak model, and its answers to traffic whose right answers are known."""

    task: Task
    adapter: ArtifactRef
    training_set: ArtifactRef
    answers: tuple[tuple[Row, str], ...]

    @property
    def failures(self) -> int:
        return sum(row.target != output for row, output in self.answers)


def sample() -> tuple[list[Row], list[Row]]:
    """Few rows to train the first model, and the traffic."""
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    chosen = [Row(derive_id("row", r["text"]), r["text"], r["label"]) for r in rows]
    chosen = [row for row in chosen if row.target in LABELS]
    of_each = [[row for row in chosen if row.target == label] for label in LABELS]
    first = [row for rows in of_each for row in rows[:SEED_ROWS]]
    return first, [row for rows in of_each for row in rows[SEED_ROWS:TRAFFIC_END]]


async def answer_traffic(variables: dict[str, str], artifacts: FsspecArtifacts) -> Answered:
    """Train the weak model and ask it everything, as two jobs on Ray."""
    first, traffic = sample()
    task = Task(TaskKind.CLASSIFICATION, LABELS)
    training_set = artifacts.put(dump_rows(first), name="training.jsonl")
    compute = compute_of(variables, artifacts)
    train = TrainSpec(
        task=task,
        training_set=training_set,
        candidates=(CandidateSpec(id=derive_id("weak", training_set.sha256), recipe=WEAK),),
    )
    trained = await run_job(compute, train)
    assert isinstance(trained, TrainResult)
    adapter = trained.trained[0].adapter
    asked = artifacts.put(dump_rows(traffic), name="traffic.jsonl")
    told = await run_job(
        compute, EvaluateSpec(models=(ModelSpec(id="weak", adapter=adapter),), sets=(asked,))
    )
    assert isinstance(told, EvaluateResult)
    await compute.aclose()
    lines = artifacts.get(told.predictions).splitlines()
    outputs = {row["id"]: row["output"] for row in map(json.loads, lines)}
    answers = tuple((row, outputs[row.id]) for row in traffic)
    return Answered(task, adapter, training_set, answers)


def compute_of(variables: dict[str, str], artifacts: FsspecArtifacts) -> RayCompute:
    settings = ServiceSettings.model_validate(variables)
    return RayCompute(
        settings.ray_address,
        artifacts,
        artifacts_uri=settings.artifacts_uri,
        token=settings.ray_token,
        entrypoint_python=variables.get("PIONEER_RAY_PYTHON", "python"),
    )


async def run_job(compute: RayCompute, spec: JobSpec) -> JobResult:
    job_id = derive_id("test-job", spec.model_dump_json())
    await compute.submit(job_id, spec)
    async with asyncio.timeout(600):
        while True:
            match await compute.poll(job_id):
                case JobSucceeded(result):
                    return result
                case JobFailed(reason):
                    raise AssertionError(reason)
                case _:
                    await asyncio.sleep(0.2)


@dataclass
class Storyteller:
    """Publishes one model's events, and hears what becomes of them."""

    model: str
    variables: dict[str, str]
    services: ServiceProcesses
    documents: MongoDocuments
    answered: Answered
    heard: list[Event] = field(default_factory=list)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        settings = ServiceSettings.model_validate(self.variables)
        async with reading_topics(settings, LOOP_TOPICS, from_start=True) as reader:

            async def hear() -> None:
                async for record in reader:
                    # Other tests put on these topics what nobody can read.
                    with suppress(ValidationError):
                        await self._hear(record.event)

            task = asyncio.create_task(hear())
            yield
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _hear(self, event: Event) -> None:
        if event.model == self.model:
            async with self._arrived:
                self.heard.append(event)
                self._arrived.notify_all()

    async def until(
        self,
        kind: type[AnyEvent],
        wanted: Callable[[AnyEvent], bool] = lambda _: True,
        *,
        seconds: float = 900,
    ) -> AnyEvent:
        """The first event of a kind that fits, waiting for it if it has not come."""

        def found() -> AnyEvent | None:
            return next((e for e in self.of(kind) if wanted(e)), None)

        async with asyncio.timeout(seconds), self._arrived:
            while (event := found()) is None:
                await self._arrived.wait()
        return event

    def of(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        return [event for event in self.heard if isinstance(event, kind)]

    async def publish(self, events: Iterable[Event]) -> None:
        settings = ServiceSettings.model_validate(self.variables)
        async with publishing(settings, source="test") as publisher:
            for event in events:
                await publisher.publish(event)

    async def deploy(self) -> None:
        """Register the weak model under this story's name."""
        await self.publish([self.registration()])
        await self.until(ModelPromoted)

    def registration(self) -> ModelRegistered:
        return ModelRegistered(
            id=derive_id("registered", self.model),
            model=self.model,
            task=self.answered.task,
            base_model=BASE_MODEL,
            adapter=self.answered.adapter,
            training_set=self.answered.training_set,
        )

    def traces(self) -> list[TraceLogged]:
        return [self.trace(row, output) for row, output in self.answered.answers]

    def trace(self, row: Row, output: str, **more: Any) -> TraceLogged:
        fields: dict[str, Any] = {
            "id": derive_id(self.model, row.id),
            "model": self.model,
            "model_version": 1,
            "input": row.text,
            "output": output,
            "reference": row.target,
            "occurred_at": datetime.now(UTC),
        }
        return TraceLogged(**(fields | more))

    async def stored_traces(self) -> int:
        return await self.documents.collection("traces").count({"model": self.model})

    async def assert_ended_once(self) -> None:
        """One run with one end, one promotion, one deployment beside the first, no lost trace."""
        closed = {event.id: event for event in self.of(RunClosed)}
        assert [event.outcome for event in closed.values()] == ["promoted"]
        promotions = {event.id for event in self.of(ModelPromoted)}
        assert len(promotions) == 2
        record = await self.documents.get("models", self.model)
        assert record is not None
        versions = [d["version"] for d in record["state"]["deployments"]]
        assert versions == [1, 2]
        assert await self.stored_traces() == len(self.answered.answers)
