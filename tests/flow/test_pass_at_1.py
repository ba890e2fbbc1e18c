"""From failures of a model that writes code to a promotion by tests that were run."""

from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.rows import Row, TrainingRow, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.tested_answers import TESTS_MARK, with_tests
from shared.domain.traces import Verdict
from shared.events import (
    FailuresDiagnosed,
    FeedbackGiven,
    ModelPromoted,
    RunClosed,
    TrainingSetSynthesized,
)
from tests.fakes.compute import Coder
from tests.flow.conftest import MODEL, House, trace
from tests.flow.rows import rows_of

FORM = AnswerForm(scorer=Scorer.PASSES, extractor=Extractor.CODE, chat_template="plain")
TASK = Task(TaskKind.GENERATION, (), FORM)


def coded(rows: list[Row]) -> list[Row]:
    return [
        Row(r.id, r.text, with_tests(f"desk = {r.target!r}", f"assert desk == {r.target!r}"))
        for r in rows
    ]


async def served(house: House, rows: list[Row], outputs: list[str]) -> int:
    """Traces whose answers their users ran: how many failed."""
    failed = 0
    for row, output in zip(rows, outputs, strict=True):
        wrong = output != Coder.written(row.target)
        failed += wrong
        await house.publish(trace(row, output, reference=None))
        await house.publish(
            FeedbackGiven(
                id=f"of-{row.id}",
                model=MODEL,
                trace_id=row.id,
                verdict=Verdict.FAIL if wrong else Verdict.PASS,
                corrected_output=row.target,
            )
        )
    return failed


async def test_failures_end_in_a_promotion_by_what_passes_its_tests(house: House) -> None:
    known = coded(rows_of(0, 12))
    asked = coded(rows_of(0, 30, start=100) + rows_of(1, 25) + rows_of(2, 25))
    registered = await house.deploy(known, (), task=TASK)
    outputs = house.compute.load(registered.adapter).predict([row.text for row in asked])
    failed = await served(house, asked, outputs)
    await house.run_loops()
    assert house.dead == []
    [diagnosed] = house.of(FailuresDiagnosed)
    assert diagnosed.failures == failed
    [closed] = house.of(RunClosed)
    assert closed.outcome == "promoted", closed.reason
    _, promoted = house.of(ModelPromoted)
    assert promoted.deployed.version.heldout_score > 0.8
    event = house.of(TrainingSetSynthesized)[0]
    rows = load_rows(house.artifacts.get(event.training_set), TrainingRow)
    assert all(TESTS_MARK in row.target for row in rows)
