"""A candidate that learned the held-out failures is judged on them by its twin, which did not."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.verifier.answer_judge import AnswerJudge
from services.verifier.handlers import DEPLOYED, VerifierHandlers
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import Limits
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import EvalPart, EvalRow, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.events import Candidate, CandidatesTrained, CandidatesVerified, CandidateVerdict, Event
from shared.job_specs import EvaluateResult, EvaluateSpec, ModelSpec
from shared.watcher import Job
from tests.fakes.documents import InMemoryDocuments

ADAPTER = ArtifactRef("file:///adapter", "0" * 64)
MODEL = DeployedModel(
    "intent",
    Task(TaskKind.CLASSIFICATION, ("no", "yes")),
    ModelVersion(1, ADAPTER, "base", None, None, None, None),
    (),
)
PLAIN = Recipe(Hyperparameters("base", 2e-4), Strategy(Method.FULL))
BLEND = replace(PLAIN, strategy=replace(PLAIN.strategy, blended=0.3))
FAILURES = ("f1", "f2", "f3")
PASSES = ("p1", "p2", "p3", "p4")


class Published:
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def publish(self, event: Event) -> None:
        self.events.append(event)


def candidate(id_: str, recipe: Recipe = PLAIN) -> Candidate:
    return Candidate(id=id_, recipe=recipe, adapter=ADAPTER, train_seconds=1.0)


def right(*rows: str) -> dict[str, str]:
    return {row: "yes" if row in rows else "no" for row in (*FAILURES, *PASSES)}


def verdict(
    artifacts: FsspecArtifacts, outputs: dict[str, dict[str, str]], *twins: Candidate
) -> CandidateVerdict:
    """Of the candidate "again", by the outputs of all models."""
    rows = [EvalRow(r, r, "yes", EvalPart.HELDOUT, right_before=False) for r in FAILURES]
    rows += [EvalRow(r, r, "yes", EvalPart.REGRESSION, right_before=True) for r in PASSES]
    event = CandidatesTrained(
        id="trained",
        model="intent",
        run_id="run",
        iteration=2,
        deployed=MODEL,
        evaluation_set=artifacts.put(dump_rows(rows), name="evaluation.jsonl"),
        training_set=ADAPTER,
        candidates=(candidate("again"),),
        twins=twins,
    )
    lines = [
        json.dumps({"model": model, "id": row, "output": output})
        for model, answers in ({DEPLOYED: right(*PASSES)} | outputs).items()
        for row, output in answers.items()
    ]
    stored = artifacts.put("\n".join(lines).encode(), name="predictions.jsonl")
    spec = EvaluateSpec(models=(ModelSpec(id=DEPLOYED, adapter=ADAPTER),), sets=())
    job = Job("evaluate", "intent", "run", cause=event.model_dump_json(), spec=spec)
    published = Published()
    handlers = VerifierHandlers(
        published, artifacts, Limits(), AnswerJudge(None, InMemoryDocuments())
    )
    asyncio.run(
        handlers.on_evaluated(job, EvaluateResult(predictions=stored, inference_seconds=1.0))
    )
    [told] = published.events
    assert isinstance(told, CandidatesVerified)
    return told.verdicts[0]


@pytest.fixture(name="artifacts")
def artifacts_fixture(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts(str(tmp_path))


def test_its_score_is_its_twin_s_and_what_it_breaks_is_its_own(artifacts: FsspecArtifacts) -> None:
    outputs = {"again": right(*FAILURES, *PASSES[1:]), "twin": right("f1", *PASSES)}
    told = verdict(artifacts, outputs, candidate("twin"))
    assert told.report
    assert told.report.heldout.right_after == 1
    assert told.report.regression.regressed == ("p1",)
    assert "score is that of twin" in told.report.warnings[-1]


def test_what_its_twin_could_not_show_it_cannot_show_either(artifacts: FsspecArtifacts) -> None:
    outputs = {"again": right(*FAILURES, *PASSES), "twin": right(*PASSES)}
    assert verdict(artifacts, outputs, candidate("twin")).outcome == "not_better"


def test_without_a_twin_of_its_recipe_it_is_unusable(artifacts: FsspecArtifacts) -> None:
    outputs = {"again": right(*FAILURES, *PASSES), "other": right(*FAILURES, *PASSES)}
    told = verdict(artifacts, outputs, candidate("other", BLEND))
    assert told.outcome == "unusable"
    assert "no twin was measured" in told.reason


def test_a_candidate_of_the_search_answers_for_itself(artifacts: FsspecArtifacts) -> None:
    told = verdict(artifacts, {"again": right(*FAILURES, *PASSES)})
    assert told.outcome == "admitted"
