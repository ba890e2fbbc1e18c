"""How a cold start spends: a part of plain fine-tuning first, then more rows step by step."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.domain.budget import Budget
from services.controller.domain.cold_start import begin, data_for, first_plan, plain, recipes_for
from services.controller.domain.decision import Decision, Iterate, Promote
from services.controller.domain.moves import RecipeGrid
from services.controller.domain.policy import decide
from services.controller.domain.run import Run
from services.controller.domain.states import Iterating
from shared.domain.evaluation import Limits
from shared.domain.pipeline import Method
from shared.domain.tasks import Task, TaskKind
from shared.events import TaskPrepared
from tests.unit.run_builders import START, Result, iterated, recorded, ref

NAMES = Task(TaskKind.CLASSIFICATION, ("a", "b"))
ENTITIES = Task(TaskKind.NER, ("PER",))
FREE = Task(TaskKind.GENERATION, ())
GRID = RecipeGrid()


def prepared(rows: int, task: Task = NAMES, *, asked: int = 300) -> TaskPrepared:
    return TaskPrepared(
        id="prepared",
        model="desk",
        run_id="run",
        submission="submission",
        description="classify support messages",
        task=task,
        base_model="base",
        material=ref("material"),
        evaluation_set=ref("locked"),
        rows=rows,
        parts={"positive": asked},
        source="train.jsonl",
        baseline=0.8,
        target=0.99,
    )


def begun(event: TaskPrepared) -> Run:
    return begin(event, first_plan(event, recipes=GRID), START)


def decided(run: Run, *, iterations: int = 9) -> Decision:
    return decide(
        run,
        limits=Limits(target=run.target or 1.0),
        budget=Budget(iterations=iterations),
        now=START,
        recipes=recipes_for(GRID, run.deployed.task, rows=run.material),
        data=data_for(run.material),
    )


def asked(run: Run) -> Any:
    assert isinstance(run.state, Iterating)
    return run.state


@given(
    rows=st.integers(1_001, 200_000),
    exam=st.integers(40, 300),
    task=st.sampled_from([NAMES, ENTITIES, FREE]),
)
def test_a_first_iteration_on_many_rows_costs_less_than_a_quarter_of_plain_training(
    rows: int, exam: int, task: Task
) -> None:
    plan = first_plan(prepared(rows, task, asked=exam), recipes=GRID)
    usual = plain(GRID, task, "base", rows=rows + exam)
    passes = sum(plan.data.size * recipe.hyperparameters.epochs for recipe in plan.recipes)
    assert 0.15 < passes / ((rows + exam) * usual.hyperparameters.epochs) <= 0.25
    [recipe] = plan.recipes
    assert recipe.strategy.method is (Method.FULL if task is ENTITIES else Method.LORA)
    assert plan.data.size <= rows
    first = recipe.hyperparameters
    assert first.batch_size == 8 or plan.data.size * first.epochs >= 120 * first.batch_size


def test_no_version_without_a_parent_is_blended_with_one() -> None:
    run = begun(prepared(3_700, ENTITIES))
    plan = decided(recorded(run, Result(70)))
    assert isinstance(plan, Iterate)
    assert not any(recipe.strategy.blended for recipe in plan.recipes)


@pytest.mark.parametrize("task", [NAMES, ENTITIES, FREE])
def test_few_rows_are_all_learned_in_two_ways(task: Task) -> None:
    plan = first_plan(prepared(900, task), recipes=GRID)
    assert plan.data.size >= 900
    assert len(set(plan.recipes)) == 2
    methods = [recipe.strategy.method for recipe in plan.recipes]
    assert methods == ([Method.LORA] * 2 if task is FREE else list(Method))


@pytest.mark.parametrize("task", [NAMES, FREE])
def test_many_rows_are_taken_step_by_step_until_all_are_in(task: Task) -> None:
    run = begun(prepared(3_700, task))
    sizes = [asked(run).data.size]
    results = [Result(70)]
    for right in (90, 91, 92, 93):
        plan = decided(recorded(run, *results))
        assert isinstance(plan, Iterate)
        assert len(set(plan.recipes)) == 2
        assert {recipe.strategy.method for recipe in plan.recipes} == {Method.LORA}
        sizes.append(plan.data.size)
        run = iterated(recorded(run, *results), plan)
        results = [Result(right), Result(right - 1)]
    first = sizes[0]
    assert first < 3_700
    assert sizes == [min(first * 3**n, 3_700) for n in range(5)]


def test_what_stays_below_its_target_promotes_the_best_that_was_admitted() -> None:
    run = begun(prepared(3_700))
    for results in ((Result(90),), (Result(94), Result(80))):
        plan = decided(recorded(run, *results))
        assert isinstance(plan, Iterate)
        run = iterated(recorded(run, *results), plan)
    ended = decided(recorded(run, Result(92), Result(91)), iterations=3)
    assert isinstance(ended, Promote)
    assert ended.admission.score == 0.94
    assert "all 3 iterations are used; best admitted candidate" in ended.reason
