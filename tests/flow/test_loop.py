"""From failures to a promotion, through all five rooms, in seconds."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from services.controller.domain.run import Run
from services.controller.domain.run_log import run_log
from shared.domain.rows import EvalPart, EvalRow, TrainingRow, load_rows
from shared.events import (
    CandidatesTrained,
    CandidatesVerified,
    FailuresDiagnosed,
    ImprovementRequested,
    IterationRequested,
    ModelPromoted,
    ModelRolledBack,
    RollbackRequested,
    RunClosed,
    TrainingProgressed,
    TrainingSetSynthesized,
)
from tests.flow.conftest import MODEL, House, built_house
from tests.flow.rows import LABELS, rows_of

KNOWN = rows_of(0, 12)
PASSES = rows_of(0, 30, start=100)
NEW = rows_of(1, 25) + rows_of(2, 25)


async def improve(house: House) -> int:
    """A model that knows one way of saying meets the others; how many it got wrong."""
    registered = await house.deploy(KNOWN, LABELS)
    wrong = await house.serve(PASSES + NEW, registered)
    await house.run_loops()
    return wrong


async def test_failures_end_in_a_promotion(house: House) -> None:
    wrong = await improve(house)

    [diagnosed] = house.of(FailuresDiagnosed)
    assert diagnosed.failures == wrong
    assert diagnosed.repair + diagnosed.heldout == wrong - diagnosed.quarantined > 0.6 * wrong
    [closed] = house.of(RunClosed)
    assert closed.outcome == "promoted"
    first, second = house.of(ModelPromoted)
    assert (first.deployed.version.number, second.deployed.version.number) == (1, 2)
    assert second.run_id == closed.run_id
    *searched, again = house.of(CandidatesVerified)
    verdicts = [v for e in searched for v in e.verdicts]
    best = max((v for v in verdicts if v.outcome == "admitted"), key=lambda v: v.report.score)
    refitted = next(v for v in again.verdicts if v.candidate.recipe == best.candidate.recipe)
    # What learned the held-out failures too is promoted, with the score of what did not.
    assert second.deployed.version.heldout_score == best.report.score > 0.8
    assert second.deployed.version.adapter == refitted.candidate.adapter
    assert best.candidate.id in refitted.report.warnings[-1]
    assert house.dead == []


async def test_a_failed_candidate_does_not_stop_the_other(house: House) -> None:
    await improve(house)
    trained = house.of(CandidatesTrained)[0]
    assert len(trained.candidates) == 1
    assert [reason for reason in trained.failed.values() if "out of memory" in reason]
    assert {p.candidate for p in house.of(TrainingProgressed)} >= {trained.candidates[0].id}


async def test_nothing_is_trained_on_what_the_gate_asks(house: House) -> None:
    await improve(house)
    *searched, again = house.of(TrainingSetSynthesized)
    event = searched[-1]
    trained = load_rows(house.artifacts.get(event.training_set), TrainingRow)
    asked = load_rows(house.artifacts.get(event.evaluation_set), EvalRow)
    assert not {row.text for row in trained} & {row.text for row in asked}
    # Once more, with what was held out: what was guarded stays untouched.
    relearned = {r.text for r in load_rows(house.artifacts.get(again.training_set), TrainingRow)}
    assert {row.text for row in asked if row.part is EvalPart.HELDOUT} <= relearned
    assert not relearned & {row.text for row in asked if row.part is EvalPart.REGRESSION}
    manifest = json.loads(house.artifacts.get(event.manifest))
    assert manifest["composition"]["rows"] == len(trained) == len(manifest["rows"])
    assert all(row.reason for row in trained)


async def test_the_second_version_is_held_to_the_first_ones_set(house: House) -> None:
    await improve(house)
    promoted = house.of(ModelPromoted)[-1]
    request = house.of(IterationRequested)[0]
    assert request.deployed.earlier_evaluations == ()
    assert promoted.deployed.earlier_evaluations == (request.evaluation_set,)


async def test_the_log_tells_the_price_that_the_controller_was_given(tmp_path: Path) -> None:
    async with built_house(tmp_path, hour_price=2.5) as house:
        await improve(house)
        [document] = await house.documents.find("runs", {})
    told = run_log(TypeAdapter(Run).validate_python(document["state"]))
    assert ", which cost " in told
    assert " at 2.5 an hour" in told


async def test_the_log_names_what_fixed_each_pattern(house: House) -> None:
    await improve(house)
    [document] = await house.documents.find("runs", {})
    run = TypeAdapter(Run).validate_python(document["state"])
    told = run_log(run)
    [first, *_] = house.of(FailuresDiagnosed)
    composition = house.of(TrainingSetSynthesized)[0].composition
    assert f"came out as {composition.rows} rows" in told
    assert "out of memory" in told
    _, fixes = told.split("which intervention fixed which pattern")
    assert "most by 1." in fixes
    named = [pattern.name for pattern in first.patterns if f"{pattern.name}: " in fixes]
    assert named
    for outcome in run.iterations:
        for judged in outcome.judged:
            if judged.report is not None:
                divided = sum(one.total for one in judged.report.patterns)
                assert divided == judged.report.heldout.total == first.heldout


async def test_old_failures_do_not_start_another_run(house: House) -> None:
    await improve(house)
    await house.run_loops(rounds=20, seconds=60)
    assert len(house.of(FailuresDiagnosed)) == 1


async def test_a_person_can_ask_before_the_threshold(house: House) -> None:
    registered = await house.deploy(KNOWN, LABELS)
    few = [row for row in rows_of(1, 4) if row.target != "returns"]
    wrong = await house.serve(PASSES + few, registered)
    assert 2 <= wrong < 10
    await house.run_loops(rounds=3)
    assert house.of(FailuresDiagnosed) == []
    await house.publish(ImprovementRequested(id="ask", model=MODEL))
    await house.run_loops(rounds=6)
    assert len(house.of(FailuresDiagnosed)) == 1


async def test_rollback_serves_the_version_before(house: House) -> None:
    await improve(house)
    await house.publish(RollbackRequested(id="back", model=MODEL, reason="customers complain"))
    await house.publish(RollbackRequested(id="back", model=MODEL, reason="customers complain"))
    [back] = {e.id: e for e in house.of(ModelRolledBack)}.values()
    assert (back.from_version, back.deployed.version.number) == (2, 1)
    assert back.reason == "customers complain"
    await house.run_loops(rounds=10)
    # Nobody asked for the same improvement again.
    assert len(house.of(FailuresDiagnosed)) == 1
