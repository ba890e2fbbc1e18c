"""The agent arm: the five real services on the embedded stack, fed with the logs of each stage."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from bench.adaptft.arms import StageOutcome
from bench.adaptft.logs import Logged, LogRow, ScenarioData, judged
from bench.adaptft.training import Checkpoint, Trainer
from shared.adapters import mongo
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import EventPublisher, publishing
from shared.adapters.kafka_reader import TopicReader, reading_topics
from shared.adapters.mongo import MongoDocuments
from shared.domain.ids import derive_id
from shared.domain.tasks import Task, TaskKind
from shared.domain.triage import TriageKind
from shared.errors import PermanentError
from shared.events import (
    Event,
    FailuresDiagnosed,
    ImprovementRequested,
    ModelPromoted,
    ModelRegistered,
    RunClosed,
    TraceLogged,
)
from shared.local import LocalStack
from shared.local.services import ServiceProcesses, service_environment
from shared.settings import ServiceSettings
from shared.tasks import behaviour

logger = logging.getLogger(__name__)

# A stage is one diagnosis, asked for when its log is complete; two iterations at most (paper §3).
SETTINGS = {
    "PIONEER_MIN_FAILURES": "1000000",
    "PIONEER_PRESSING_FAILURES": "1000000",
    "PIONEER_MAX_ITERATIONS": "2",
    "PIONEER_REGRESSION_SHARE": "1.0",
    "PIONEER_HELDOUT_SHARE": "0.3",
}
_TOPICS = (ModelPromoted.topic, FailuresDiagnosed.topic, RunClosed.topic)
# For a stage that hangs: each training of a model that writes is minutes on two cores.
_PATIENCE_S = {TaskKind.GENERATION: 7200.0}
_USUAL_PATIENCE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Improvement:
    """What the loop made of one log: how its run ended, and ids that triage kept from training."""

    closed: RunClosed
    promoted: bool
    quarantined: frozenset[str]


async def run_agent(
    data: ScenarioData, first: Checkpoint, trainer: Trainer
) -> AsyncIterator[StageOutcome]:
    """The arm: one diagnosis and one run for each stage, on parts started for this call."""
    with TemporaryDirectory(prefix="pioneer-agent-") as home:
        # A store of its own: jobs of an earlier run have the same ids, and would not run again.
        artifacts = FsspecArtifacts(str(Path(home) / "artifacts"))
        async with running_house(Path(home), artifacts) as house:
            agent = Agent(house, f"{data.name}-{data.seed}", data.task)
            await agent.deploy(_moved(first, trainer.artifacts, artifacts))
            for stage in data.stages[1:]:
                start = monotonic()
                found = await agent.improve(stage.train)
                logger.info("stage %d: %s", stage.number, found.closed.reason)
                yield StageOutcome(
                    stage=stage.number,
                    outputs=agent.predict([row.text for row in data.test]),
                    promoted=found.promoted,
                    quarantined=found.quarantined,
                    train_seconds=round(monotonic() - start, 1),
                )


def _moved(first: Checkpoint, source: FsspecArtifacts, target: FsspecArtifacts) -> Checkpoint:
    """The first model and its training set in another store."""
    adapter = target.put_folder(source.get_folder(first.adapter), name="first")
    rows = target.put(source.get(first.training_set), name="training.jsonl")
    trained = first.trained.model_copy(update={"adapter": adapter})
    return Checkpoint(trained, first.rows, rows)


class Agent:
    """One deployed model through its stages."""

    def __init__(self, house: "House", model: str, task: Task) -> None:
        self._house = house
        self._model = model
        self._task = task
        self._patience = _PATIENCE_S.get(task.kind, _USUAL_PATIENCE_S)
        self._version = 1

    def predict(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The deployed model's answer to each text."""
        from shared.jobs.predict import Predictor

        predictor = Predictor.load(self._house.artifacts, self._adapter)
        return tuple(prediction.output for prediction in predictor.predict(texts))

    async def deploy(self, first: Checkpoint) -> None:
        """Register the first model with its training rows; returns when it is deployed."""
        self._adapter = first.adapter
        event = ModelRegistered(
            id=derive_id("registered", self._model, first.adapter.sha256),
            model=self._model,
            task=self._task,
            base_model=first.trained.recipe.hyperparameters.base_model,
            adapter=first.adapter,
            training_set=first.training_set,
        )
        await self._house.publisher.publish(event)
        async with asyncio.timeout(self._patience):
            async for heard in self._house.events():
                if isinstance(heard, ModelPromoted):
                    break
            # Topics have no common order: asked too early, the diagnoser would not know the model.
            while not await self._house.knows(self._model):  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    async def improve(self, rows: Sequence[LogRow]) -> Improvement:
        """Serve and judge the log of a stage, then let the loop run once."""
        outputs = self.predict([row.text for row in rows])
        logged = judged(rows, outputs, behaviour(self._task).is_right)
        await self._serve(logged)
        request = ImprovementRequested(
            id=derive_id("improve", self._model, rows[0].id), model=self._model
        )
        await self._house.publisher.publish(request)
        closed, diagnosed, promoted = await self._until_closed()
        if promoted:
            self._adapter = promoted.deployed.version.adapter
            self._version = promoted.deployed.version.number
        return Improvement(closed, promoted is not None, self._quarantined(diagnosed))

    async def _serve(self, logged: Sequence[Logged]) -> None:
        where: dict[str, Any] = {"model": self._model, "model_version": self._version}
        # Where nothing was promoted, the log of the stage before is there already.
        expected = await self._house.stored_traces(where) + len(logged)
        await asyncio.gather(*(self._house.publisher.publish(self._trace(one)) for one in logged))
        async with asyncio.timeout(self._patience):
            # The diagnoser tells nobody that it has stored a trace.
            while await self._house.stored_traces(where) < expected:  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    def _trace(self, one: Logged) -> TraceLogged:
        return TraceLogged(
            id=one.row.id,
            model=self._model,
            model_version=self._version,
            input=one.row.text,
            output=one.output,
            reference=one.corrected,
            occurred_at=one.row.occurred_at,
            metadata=dict(one.row.metadata),
        )

    async def _until_closed(
        self,
    ) -> tuple[RunClosed, FailuresDiagnosed, ModelPromoted | None]:
        closed: RunClosed | None = None
        diagnosed: dict[str, FailuresDiagnosed] = {}
        promoted: ModelPromoted | None = None
        async with asyncio.timeout(self._patience):
            async for event in self._house.events():
                match event:
                    case FailuresDiagnosed():
                        diagnosed[event.id] = event
                    case ModelPromoted():
                        promoted = event
                    case RunClosed():
                        closed = event
                    case _:
                        continue
                # Topics have no common order: a run's end may be heard before its diagnosis and
                # before its promotion.
                if closed is None or (closed.outcome == "promoted" and promoted is None):
                    continue
                if closed.diagnosis_event in diagnosed:
                    return closed, diagnosed[closed.diagnosis_event], promoted
        raise PermanentError("the stream of events ended before the run did")

    def _quarantined(self, diagnosed: FailuresDiagnosed) -> frozenset[str]:
        """Ids of traces that the diagnosis kept out of training."""
        lines = self._house.artifacts.get_folder(diagnosed.diagnosis)["triage.jsonl"].splitlines()
        found = [json.loads(line) for line in lines]
        return frozenset(one["id"] for one in found if one["kind"] != TriageKind.FIXABLE)


class House:
    """The running services, and the stream of what they publish."""

    def __init__(
        self,
        publisher: EventPublisher,
        documents: MongoDocuments,
        artifacts: FsspecArtifacts,
        reader: TopicReader,
    ) -> None:
        self.publisher = publisher
        self.artifacts = artifacts
        self._documents = documents
        self._records = aiter(reader)
        self._seen: set[str] = set()

    async def stored_traces(self, where: dict[str, Any]) -> int:
        return await self._documents.collection("traces").count(where)

    async def knows(self, model: str) -> bool:
        """Whether the diagnoser has heard of a model."""
        return await self._documents.get("diagnoser_models", model) is not None

    async def events(self) -> AsyncGenerator[Event]:
        """New events, each once: delivery is at least once, a repeat carries the same id."""
        async for record in self._records:
            event = record.event
            if event.id not in self._seen:
                self._seen.add(event.id)
                yield event


@asynccontextmanager
async def running_house(home: Path, artifacts: FsspecArtifacts) -> AsyncGenerator[House]:
    """Broker, database, Ray and the five services; all have ended when this returns."""
    stack = LocalStack(home)
    try:
        variables = service_environment(stack, await stack.__aenter__()) | SETTINGS
        variables["ARTIFACTS_URI"] = artifacts.uri
        settings = ServiceSettings.model_validate(variables)
        database = mongo.connect(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
        async with (
            ServiceProcesses(stack, variables),
            reading_topics(settings, _TOPICS, from_start=True) as reader,
            publishing(settings, source="bench") as publisher,
        ):
            yield House(publisher, database, artifacts, reader)
        database.close()
    finally:
        await stack.close()
