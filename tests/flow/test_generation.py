"""From failures of a model that writes its answers to a promotion, through all five rooms."""

import json

import pytest

from shared.domain.answer_form import AnswerForm, Extractor
from shared.domain.pipeline import Supervision
from shared.domain.rows import Row, TrainingRow, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.traces import Verdict
from shared.events import (
    FailuresDiagnosed,
    IterationRequested,
    ModelPromoted,
    RunClosed,
    TrainingSetSynthesized,
)
from tests.flow.conftest import House, trace
from tests.flow.rows import LABELS, rows_of

FORM = AnswerForm(
    extractor=Extractor.MARKED,
    system_prompt="Name the desk.",
    supervision=Supervision.CHAIN_OF_THOUGHT,
    chat_template="plain",
)
FEW = Task(TaskKind.GENERATION, tuple(sorted(LABELS)), FORM)
FREE = Task(TaskKind.GENERATION, (), FORM)
KNOWN = rows_of(0, 12)
PASSES = rows_of(0, 30, start=100)
NEW = rows_of(1, 25) + rows_of(2, 25)


async def improve(house: House, task: Task) -> int:
    known = [Row(r.id, r.text, r.target, f"It says {r.text!r}.") for r in KNOWN]
    registered = await house.deploy(known, (), task=task)
    wrong = await house.serve(PASSES + NEW, registered)
    await house.run_loops()
    return wrong


@pytest.mark.parametrize("task", [FEW, FREE], ids=["few answers", "free answers"])
async def test_failures_end_in_a_promotion(house: House, task: Task) -> None:
    wrong = await improve(house, task)
    assert house.dead == []
    [diagnosed] = house.of(FailuresDiagnosed)
    assert diagnosed.failures == wrong
    [closed] = house.of(RunClosed)
    assert closed.outcome == "promoted", closed.reason
    _, promoted = house.of(ModelPromoted)
    assert promoted.deployed.task == task
    assert promoted.deployed.version.heldout_score > 0.8


async def test_every_recipe_asks_as_production_does(house: House) -> None:
    await improve(house, FREE)
    requested = house.of(IterationRequested)
    for recipe in (recipe for event in requested for recipe in event.recipes):
        assert recipe.hyperparameters.system_prompt == FORM.system_prompt
        assert recipe.hyperparameters.max_tokens == FORM.max_tokens
        assert recipe.strategy.supervision is Supervision.CHAIN_OF_THOUGHT
        assert recipe.strategy.congruence == 0


async def test_what_the_parent_reasoned_is_taught_again(house: House) -> None:
    await improve(house, FREE)
    event = house.of(TrainingSetSynthesized)[0]
    rows = load_rows(house.artifacts.get(event.training_set), TrainingRow)
    replayed = [one for one in rows if one.source == "parent"]
    assert replayed
    assert all(one.rationale for one in replayed)
    assert not any(one.rationale for one in rows if one.source == "failure")


async def test_few_answers_are_patterns_by_what_was_taken_for_what(house: House) -> None:
    await improve(house, FEW)
    [diagnosed] = house.of(FailuresDiagnosed)
    files = house.artifacts.get_folder(diagnosed.diagnosis)
    found = json.loads(files["patterns.json"])
    assert {p["expected"] for p in found} <= set(LABELS)


async def test_answers_are_judged_by_what_stands_behind_the_mark(house: House) -> None:
    await house.deploy(KNOWN, (), task=FREE)
    asked = KNOWN[0]
    said = f"It says so.\nAnswer: {asked.target}"
    await house.publish(trace(Row("t1", asked.text, asked.target), said))
    found = house.traces.traces["t1"][1]
    assert found is not None
    assert found.verdict is Verdict.PASS


async def test_a_reference_that_is_none_of_the_few_is_refused(house: House) -> None:
    await house.deploy(KNOWN, (), task=FEW)
    await house.publish(trace(Row("bad", "somebody was here", "weather"), LABELS[0]))
    [dead] = house.dead
    assert "'weather' is not one of the" in dead.error
