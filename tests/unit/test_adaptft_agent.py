"""The agent arm: what it serves of a log, and what it reads from the events that answer."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.adaptft import agent
from bench.adaptft.arms import AgentArm, StageOutcome
from bench.adaptft.logs import build, judged
from bench.adaptft.phrases import Templates
from bench.adaptft.scenarios import SCENARIOS, load_rows, quick
from bench.adaptft.training import Checkpoint
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.events import (
    Event,
    FailuresDiagnosed,
    ImprovementRequested,
    ModelPromoted,
    ModelRegistered,
    RunClosed,
    TraceLogged,
)
from shared.job_specs import TrainedCandidate

DESK = SCENARIOS["support_desk"]
DATA = build(
    "support_desk",
    load_rows(DESK, Path()),
    quick(DESK).sizes,
    seed=101,
    templates=Templates.DEVELOPMENT,
)
ADAPTER = ArtifactRef("file:///adapter", "0" * 64)
START = datetime(2026, 3, 1, tzinfo=UTC)


class FakeHouse:
    """Answers as the services would: promotes in the first stage, then refuses."""

    def __init__(self, artifacts: FsspecArtifacts) -> None:
        self.artifacts = artifacts
        self.publisher = self
        self.published: list[Event] = []
        self._answers: list[Event] = []

    def heard(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.published if isinstance(event, kind)]

    async def publish(self, event: Event) -> None:
        self.published.append(event)
        if isinstance(event, ModelRegistered):
            self._answers.append(self._promoted(1, event.model))
        if isinstance(event, ImprovementRequested):
            self._answers += self._improved(event.model)

    async def stored_traces(self, where: dict[str, Any]) -> int:
        traces: list[TraceLogged] = self.heard(TraceLogged)
        return sum(all(getattr(one, k) == v for k, v in where.items()) for one in traces)

    async def knows(self, model: str) -> bool:
        return any(one.model == model for one in self.heard(ModelRegistered))

    async def events(self) -> AsyncGenerator[Event]:
        while self._answers:
            yield self._answers.pop(0)

    def _improved(self, model: str) -> list[Event]:
        stage = len(self.heard(ImprovementRequested))
        promoted = stage == 1
        diagnosed = FailuresDiagnosed(
            id=f"diagnosed-{stage}",
            model=model,
            deployed_version=1,
            diagnosis=self.artifacts.put_folder({"triage.jsonl": self._triage()}, name="diagnosis"),
            evaluation_set=ADAPTER,
            failures=3,
            repair=1,
            heldout=1,
            regression=1,
            patterns=(),
        )
        closed = RunClosed(
            id=f"closed-{stage}",
            model=model,
            run_id=f"run-{stage}",
            diagnosis_event=diagnosed.id,
            outcome="promoted" if promoted else "not_promoted",
            reason="as told",
            iterations=1,
            seconds=1.0,
        )
        # A promotion may be heard after its run's end, and so may the diagnosis.
        return [diagnosed, closed, self._promoted(2, model)] if promoted else [closed, diagnosed]

    def _triage(self) -> bytes:
        traces: list[TraceLogged] = self.heard(TraceLogged)
        kinds = ("poison", "external", "fixable")
        lines = [
            json.dumps({"id": one.id, "kind": kind})
            for one, kind in zip(traces[-3:], kinds, strict=True)
        ]
        return "\n".join(lines).encode()

    def _promoted(self, number: int, model: str) -> ModelPromoted:
        task = self.heard(ModelRegistered)[0].task
        version = ModelVersion(number, ADAPTER, "base", None, None, None, None)
        return ModelPromoted(
            id=f"promoted-{number}",
            model=model,
            deployed=DeployedModel(model, task, version, ()),
            deployment=number,
            run_id=None,
            reason="as told",
            occurred_at=START,
        )


def told(self: agent.Agent, texts: Sequence[str]) -> tuple[str, ...]:
    """Every answer is the first label."""
    return (DATA.labels[0],) * len(texts)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FakeHouse, list[StageOutcome]]:
    house = FakeHouse(FsspecArtifacts(str(tmp_path)))

    @asynccontextmanager
    async def running(home: Path, artifacts: FsspecArtifacts) -> AsyncGenerator[FakeHouse]:
        yield house

    monkeypatch.setattr(agent, "running_house", running)
    monkeypatch.setattr(agent.Agent, "predict", told)
    # That it may stand here is checked by the type checker.
    arm: AgentArm = agent.run_agent
    trained = TrainedCandidate(
        id="c",
        recipe=DATA.recipe,
        adapter=house.artifacts.put_folder({"adapter.json": b"{}"}, name="first"),
        final_loss=0.1,
        train_seconds=1.0,
        examples_per_second=1.0,
    )
    trainer: Any = house
    rows = house.artifacts.put(b"", name="training.jsonl")

    async def outcomes() -> list[StageOutcome]:
        return [one async for one in arm(DATA, Checkpoint(trained, DATA.clean, rows), trainer)]

    return house, asyncio.run(outcomes())


Served = tuple[FakeHouse, list[StageOutcome]]


def test_the_arm_yields_one_outcome_for_each_stage(served: Served) -> None:
    _, outcomes = served
    assert [outcome.stage for outcome in outcomes] == [stage.number for stage in DATA.stages[1:]]
    assert [outcome.promoted for outcome in outcomes] == [True, False]
    assert all(len(outcome.outputs) == len(DATA.test) for outcome in outcomes)


def test_it_serves_the_train_rows_with_their_corrections_and_nothing_else(served: Served) -> None:
    house, _ = served
    traces: list[TraceLogged] = house.heard(TraceLogged)
    rows = [row for stage in DATA.stages[1:] for row in stage.train]
    logged = judged(rows, [DATA.labels[0]] * len(rows))
    assert [(t.id, t.input, t.output, t.reference) for t in traces] == [
        (one.row.id, one.row.text, one.output, one.corrected) for one in logged
    ]
    # What was promoted in the first stage serves the second.
    versions = {trace.id: trace.model_version for trace in traces}
    for version, stage in enumerate(DATA.stages[1:], 1):
        assert {versions[row.id] for row in stage.train} == {version}


def test_whatever_was_kept_from_training_counts_as_quarantined(served: Served) -> None:
    _, outcomes = served
    for outcome, stage in zip(outcomes, DATA.stages[1:], strict=True):
        assert outcome.quarantined == {row.id for row in stage.train[-3:-1]}
