"""What bad input gets: a reason among the dead letters, while everything else goes on."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.rows import EvalPart, EvalRow, Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.events import (
    CandidatesVerified,
    FailuresDiagnosed,
    FeedbackGiven,
    IterationRequested,
    ModelPromoted,
    ModelRegistered,
    RunClosed,
    StepFailed,
    TraceLogged,
)
from shared.ports import JobFailed
from tests.flow.conftest import MODEL, House, trace
from tests.flow.rows import LABELS, rows_of
from tests.flow.test_loop import KNOWN, NEW, PASSES, improve

ROW = rows_of(0, 1)[0]


def body(**changes: object) -> bytes:
    return json.dumps(trace(ROW, "billing").model_dump(mode="json") | changes).encode()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"hello, not JSON", "the body is not JSON"),
        (b'{"schema_version": 1, "id": "x", "model": "desk"}', "model_version: Field required"),
        (body(schema_version=2), "schema_version: Input should be 1, got '2'"),
        (body(input="x" * 10_000_000), "input has 10000000 characters, more than"),
        (body(reference="astrology"), "reference 'astrology' is not one of the 3 labels"),
        (body(model="../../etc/passwd"), "model: String should match pattern"),
    ],
    ids=["not json", "wrong schema", "unknown version", "10 MB", "unknown label", "bad name"],
)
async def test_a_bad_trace_is_kept_with_its_reason(
    house: House, message: bytes, reason: str
) -> None:
    await house.deploy(KNOWN, LABELS)
    await house.broker.publish(message, topic=TraceLogged.topic, key=b"desk")
    [dead] = house.dead
    assert reason in dead.error
    assert dead.body == message
    assert house.traces.traces == {}

    await house.publish(trace(ROW, "billing"))
    assert list(house.traces.traces) == [ROW.id]


async def test_one_bad_record_costs_only_itself(house: House) -> None:
    await house.deploy(KNOWN, LABELS)
    good = [trace(row, row.target).model_dump_json().encode() for row in PASSES[:3]]
    batch = [good[0], b"{", good[1], body(reference="astrology"), good[2]]
    await house.broker.publish_batch(*batch, topic=TraceLogged.topic)
    assert list(house.traces.traces) == [row.id for row in PASSES[:3]]
    assert [dead.body for dead in house.dead] == [b"{", batch[3]]


async def test_feedback_for_an_unknown_trace_waits_then_dies(house: House) -> None:
    await house.deploy(KNOWN, LABELS)
    given = FeedbackGiven(id="f", model=MODEL, trace_id="nowhere", verdict="pass")
    await house.publish(given)
    await house.run_loops(rounds=2, seconds=10)
    assert house.dead == []
    await house.run_loops(rounds=2, seconds=600)
    [dead] = house.dead
    assert "trace 'nowhere' is unknown" in dead.error
    assert FeedbackGiven.model_validate_json(dead.body) == given


async def test_feedback_may_come_before_its_trace(house: House) -> None:
    await house.deploy(KNOWN, LABELS)
    await house.publish(
        FeedbackGiven(
            id="f",
            model=MODEL,
            trace_id=ROW.id,
            verdict="fail",
            corrected_output="returns",
            human=True,
        )
    )
    await house.publish(trace(ROW, "billing"))
    _, judgement, _ = house.traces.traces[ROW.id]
    assert judgement is not None
    assert (judgement.verdict, judgement.source, judgement.corrected) == (
        "fail",
        "human",
        "returns",
    )
    assert house.traces.waiting == {}


async def test_a_human_word_stands_against_later_automatic_feedback(house: House) -> None:
    await house.deploy(KNOWN, LABELS)
    await house.publish(trace(ROW, "billing", reference=None))
    for key, human, verdict, corrected in (
        ("1", True, "fail", "returns"),
        ("2", False, "pass", None),
    ):
        await house.publish(
            FeedbackGiven(
                id=key,
                model=MODEL,
                trace_id=ROW.id,
                verdict=verdict,
                corrected_output=corrected,
                human=human,
            )
        )
    _, judgement, _ = house.traces.traces[ROW.id]
    assert judgement is not None
    assert judgement.corrected == "returns"


async def test_every_event_twice_has_the_effect_of_once(house: House) -> None:
    await improve(house)
    for event in list(house.heard):
        await house.publish(event)
    await house.run_loops()
    assert len({e.id for e in house.of(RunClosed)}) == 1
    record = house.documents.collections["models"][MODEL]["state"]
    assert [d["version"] for d in record["deployments"]] == [1, 2]


async def test_registering_other_content_under_the_same_name_is_refused(house: House) -> None:
    first = await house.deploy(KNOWN, LABELS)
    other = ModelRegistered(
        id="other",
        model=MODEL,
        task=first.task,
        base_model="another base",
        adapter=first.adapter,
    )
    await house.publish(other)
    [dead] = house.dead
    assert "is registered with other content" in dead.error


async def test_a_corrupt_adapter_is_a_verdict_not_a_crash(house: House) -> None:
    registered = await house.deploy(KNOWN, LABELS)
    await house.serve(PASSES + NEW, registered)
    house.compute.corrupt_adapters = True
    await house.run_loops()
    [closed] = {e.id: e for e in house.of(RunClosed)}.values()
    assert closed.outcome == "not_promoted"
    run = next(iter(house.documents.collections["runs"].values()))["state"]
    reason = run["iterations"][0]["judged"][0]["reason"]
    assert "model.json" in reason


async def test_a_job_that_can_never_work_ends_the_run_with_its_reason(house: House) -> None:
    registered = await house.deploy(KNOWN, LABELS)
    await house.serve(PASSES + NEW, registered)
    house.compute.fail_next["train"] = JobFailed("label 'x' has one example", permanent=True)
    await house.run_loops()
    [failed] = house.of(StepFailed)
    assert failed.reason == "label 'x' has one example"
    [closed] = house.of(RunClosed)
    assert closed.outcome == "failed"
    assert "label 'x' has one example" in closed.reason


async def test_a_base_model_that_cannot_be_trained_ends_the_run_with_its_reason(
    house: House,
) -> None:
    registered = await house.deploy(KNOWN, LABELS)
    await house.serve(PASSES + NEW, registered)
    house.compute.untrainable = "BadInput: model t5: is of architecture 't5'"
    await house.run_loops()
    [closed] = house.of(RunClosed)
    assert closed.outcome == "failed"
    assert "no candidate could be trained" in closed.reason
    assert "is of architecture 't5'" in closed.reason


async def test_what_was_cut_from_a_training_set_is_said(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    registered = await house.deploy(KNOWN, LABELS)
    await house.serve(PASSES + NEW, registered)
    house.compute.warning = "3 of 90 texts are longer than the 16 tokens that are read"
    await house.run_loops()
    said = [line for line in caplog.messages if "longer than the 16 tokens" in line]
    assert said[0].startswith("iteration 1: 3 of 90 texts")
    assert len(said) == len(set(said))


def registering(house: House, training: bytes, evaluation: bytes | None = None) -> ModelRegistered:
    measured = house.artifacts.put(evaluation, name="e.jsonl") if evaluation is not None else None
    return ModelRegistered(
        id="registration",
        model=MODEL,
        task=Task(TaskKind.CLASSIFICATION, tuple(sorted(LABELS))),
        base_model="base",
        adapter=house.compute.train(KNOWN),
        training_set=house.artifacts.put(training, name="t.jsonl"),
        evaluation_set=measured,
    )


def measured_rows(rows: Sequence[Row]) -> bytes:
    return dump_rows(EvalRow(r.id, r.text, r.target, EvalPart.REGRESSION, True) for r in rows)


def lose(ref: ArtifactRef) -> None:
    Path(ref.uri.removeprefix("file://")).unlink()


GOOD = dump_rows(KNOWN)
TWO = (Row("1", "where is it", "billing"), Row("2", "where is it", "returns"))


@pytest.mark.parametrize(
    ("training", "evaluation", "reason"),
    [
        (b"", None, "training_set: holds no rows"),
        (b"\xff\xfe{", None, "line 1 is not a LearnedRow: Invalid JSON"),
        (b'{"id": "1", "text": "a"}', None, "line 1 is not a LearnedRow: target: Field required"),
        (dump_rows([replace(KNOWN[0], target="stars")]), None, "line 1: 'stars' is not one of"),
        (GOOD + dump_rows(TWO), None, "the same text 'where is it' is answered"),
        (dump_rows(KNOWN[:2] + KNOWN[-1:]), None, "line 3: is the only example of label"),
        (GOOD, GOOD, "line 1 is not a EvalRow: part: Field required"),
        (GOOD, measured_rows(PASSES[:2] + KNOWN[:1]), "evaluation_set line 3: "),
        (GOOD, measured_rows(TWO), "evaluation_set line 1 and evaluation_set line 2"),
    ],
    ids=[
        *("empty", "wrong encoding", "wrong rows", "unknown label", "contradiction"),
        *("lone label", "no evaluation rows", "leak", "contradicting evaluation"),
    ],
)
async def test_a_model_whose_rows_cannot_be_used_is_not_registered(
    house: House, training: bytes, evaluation: bytes | None, reason: str
) -> None:
    await house.publish(registering(house, training, evaluation))
    [dead] = house.dead
    assert reason in dead.error
    assert house.documents.collections.get("models", {}) == {}
    assert house.of(ModelPromoted) == []


async def test_a_training_set_that_is_not_there_is_said_at_once(house: House) -> None:
    event = registering(house, GOOD)
    assert event.training_set
    lose(event.training_set)
    await house.publish(event)
    [dead] = house.dead
    assert "training_set" in dead.error
    assert "not in the store" in dead.error


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"task": {"kind": "translation", "labels": ["a", "b"]}},
            "'classification', 'ner' or 'generation'",
        ),
        ({"task": {"kind": "classification", "labels": ["a"]}}, "at least two distinct labels"),
        ({"task": {"kind": "classification", "labels": ["", "a"]}}, "label '' is blank"),
        ({"task": {"kind": "ner", "labels": ["x" * 500]}}, "has 500 characters, more than 200"),
        ({"base_model": " "}, "base_model is empty"),
    ],
    ids=["unknown kind", "one label", "blank label", "endless label", "no base"],
)
async def test_a_task_that_cannot_be_is_not_registered(
    house: House, changes: dict[str, object], reason: str
) -> None:
    message = registering(house, GOOD).model_dump(mode="json") | {"training_set": None} | changes
    told = json.dumps(message).encode()
    await house.broker.publish(told, topic=ModelRegistered.topic, key=MODEL.encode())
    [dead] = house.dead
    assert reason in dead.error
    assert house.of(ModelPromoted) == []


async def test_a_cluster_that_forgets_or_is_away_only_costs_time(house: House) -> None:
    registered = await house.deploy(KNOWN, LABELS)
    await house.serve(PASSES + NEW, registered)
    house.compute.forget_next = {"embed", "evaluate"}
    house.compute.fail_next["train"] = JobFailed("worker was lost", permanent=False)
    await house.run_loops(rounds=20)
    [closed] = house.of(RunClosed)
    assert closed.outcome == "promoted"
    assert any(job.endswith("-2") for job in house.compute.submissions)


async def test_early_feedback_with_a_wrong_label_is_kept_too(house: House) -> None:
    await house.deploy(KNOWN, LABELS)
    given = FeedbackGiven(
        id="f", model=MODEL, trace_id=ROW.id, verdict="fail", corrected_output="astrology"
    )
    await house.publish(given)
    await house.publish(trace(ROW, "billing", reference=None))
    await house.run_loops(rounds=2)
    [dead] = house.dead
    assert "corrected_output 'astrology' is not one of the 3 labels" in dead.error
    assert house.traces.waiting == {}


async def test_answers_outside_the_task_are_not_learned(house: House) -> None:
    before = [trace(row, "billing", reference="astrology") for row in rows_of(1, 3)]
    for early in before:
        await house.publish(early)
    await improve(house)
    [closed] = house.of(RunClosed)
    assert closed.outcome == "promoted"


async def test_a_deployed_model_that_cannot_be_loaded_ends_the_run(house: House) -> None:
    registered = await house.deploy(KNOWN, LABELS)
    await house.serve(PASSES + NEW, registered)
    weights = Path(registered.adapter.uri.removeprefix("file://")) / "model.json"
    weights.write_bytes(b"[]")
    await house.run_loops()
    [closed] = house.of(RunClosed)
    assert closed.outcome == "failed"
    assert "the deployed model cannot be evaluated" in closed.reason


async def test_an_admission_beyond_epsilon_is_refused_at_the_door(house: House) -> None:
    await improve(house)
    event = house.of(CandidatesVerified)[0]
    entry = house.documents.collections["runs"][event.run_id]
    # The same run, waiting for verdicts again.
    asked = house.of(IterationRequested)[0]
    entry["state"] |= {
        "iterations": entry["state"]["iterations"][: asked.iteration - 1],
        "state": {
            "kind": "iterating",
            "iteration": asked.iteration,
            "data": asdict(asked.data),
            "recipes": [asdict(recipe) for recipe in asked.recipes],
            "move": "first",
            "reason": "again",
        },
    }
    verdict = event.verdicts[0]
    assert verdict.report
    broken = replace(verdict.report.regression, regressed=("a", "b", "c"))
    lie = verdict.model_copy(
        update={"outcome": "admitted", "report": replace(verdict.report, regression=broken)}
    )
    await house.publish(event.model_copy(update={"verdicts": (lie,)}))
    judged = house.documents.collections["runs"][event.run_id]["state"]["iterations"][-1]
    assert judged["judged"][0]["verdict"]["kind"] == "regressed"


async def test_a_diagnosis_that_was_never_answered_asks_again(house: House) -> None:
    await improve(house)
    [diagnosed] = house.of(FailuresDiagnosed)
    stored = house.documents.collections["diagnoser_models"][MODEL]
    assert stored["open"] is None
    # As if the end of its run had been lost on the way.
    before = (house.clock() - timedelta(hours=2)).isoformat()
    stored["open"] = {
        "id": "lost",
        "as_of": before,
        "event": diagnosed.model_dump_json(),
        "asked_at": before,
    }
    house.documents.collections["jobs"][derive_id("embed", "lost")] = {
        "_id": derive_id("embed", "lost"),
        "service": "diagnoser",
        "state": "succeeded",
    }
    await house.run_loops(rounds=2)
    assert [e.id for e in house.of(FailuresDiagnosed)] == [diagnosed.id] * 2
    first, again = house.of(RunClosed)
    assert (first.id, first.outcome) == (again.id, again.outcome)
    record = house.documents.collections["models"][MODEL]["state"]
    assert [d["version"] for d in record["deployments"]] == [1, 2]
