"""The iteration policy: what it does in each band, and what it can never do."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.controller.domain.budget import Budget
from services.controller.domain.decision import (
    Admission,
    Decision,
    Iterate,
    Move,
    Promote,
    Stop,
)
from services.controller.domain.moves import TUNING, DataGrid, RecipeGrid
from services.controller.domain.outcome import preferred
from services.controller.domain.policy import decide, first_plan, settle
from services.controller.domain.run import Run, begin
from services.controller.domain.search import SearchPolicy, best_of, grown, stagnation
from shared.domain.evaluation import Admitted, Limits, SetReport, TrafficGain
from shared.domain.lineage import DeployedModel
from shared.domain.patterns import Character, Standing
from shared.domain.pipeline import DataSpec, Method, Recipe
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput
from shared.events import PatternSummary
from tests.unit.floats import floats
from tests.unit.run_builders import (
    LIMITS,
    START,
    Result,
    a_diagnosis,
    a_model,
    a_plan,
    a_run,
    iterated,
    methods,
    recorded,
)

AMPLE = Budget(iterations=50, minutes=1000)
BOTH = [Method.LORA, Method.FULL]


def after(
    *results: tuple[Result, Result], plan: Iterate | None = None, budget: Budget = AMPLE
) -> tuple[Run, Decision]:
    """The run and the decision once the policy met these results, one pair an iteration."""
    run, decision = a_run(plan), plan
    for number, pair in enumerate(results):
        if number:
            assert isinstance(decision, Iterate), decision
            run = iterated(run, decision)
        run = recorded(run, *pair)
        decision = decide(run, limits=LIMITS, budget=budget, now=START)
    assert decision is not None
    return run, decision


def next_plan(*results: tuple[Result, Result], plan: Iterate | None = None) -> tuple[Run, Iterate]:
    run, decision = after(*results, plan=plan)
    assert isinstance(decision, Iterate), decision
    assert methods(decision.recipes) == BOTH
    return run, decision


def chosen(run: Run) -> Recipe:
    promoted = settle(run, "done")
    assert isinstance(promoted, Promote)
    return promoted.admission.candidate.recipe


def rates(plan: Iterate) -> list[float]:
    return [recipe.hyperparameters.learning_rate for recipe in plan.recipes]


def test_first_plan_trains_lora_and_full_from_the_deployed_model_s_base() -> None:
    plan = first_plan(a_model(), failures=500, repair=300)
    assert methods(plan.recipes) == BOTH
    assert {recipe.hyperparameters.base_model for recipe in plan.recipes} == {"minilm"}
    assert plan.data.size == 1_500
    assert 0.10 <= plan.data.replay <= 0.20


def test_without_a_parent_s_training_set_nothing_is_replayed() -> None:
    plan = first_plan(a_model(training_set=None), failures=500, repair=300)
    assert (plan.data.gold, plan.data.hard, plan.data.replay) == (0.65, 0.35, 0.0)


ENTITIES = replace(a_model(), task=Task(TaskKind.NER, ("LOC", "PER")))


def a_pattern(size: int, character: Character, standing: Standing) -> PatternSummary:
    return PatternSummary(name="", size=size, share=0.1, character=character, standing=standing)


def shifted(model: DeployedModel, *patterns: PatternSummary) -> DataSpec:
    return first_plan(model, failures=500, repair=300, patterns=patterns).data


def test_false_finds_ask_for_hard_negatives_and_misses_for_gold() -> None:
    usual = shifted(ENTITIES)
    found = a_pattern(40, Character.PRECISION, Standing.CONFIRMED)
    missed = a_pattern(90, Character.RECALL, Standing.UNTESTED)
    assert shifted(ENTITIES, found).hard > usual.hard
    assert shifted(ENTITIES, found, missed).gold > usual.gold
    # Neither is two thirds of them.
    assert shifted(ENTITIES, found, a_pattern(50, Character.RECALL, Standing.CONFIRMED)) == usual
    # What the deployed model gets right is no reason.
    assert shifted(ENTITIES, a_pattern(90, Character.RECALL, Standing.SPURIOUS)) == usual


def test_a_wrong_label_is_a_miss_and_a_false_find_at_once() -> None:
    pattern = a_pattern(90, Character.RECALL, Standing.CONFIRMED)
    assert shifted(a_model(), pattern) == shifted(a_model())


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(BadInput, match="'intent'"):
        first_plan(a_model(), failures=3, repair=0)


def test_no_decision_before_the_verdicts() -> None:
    with pytest.raises(BadInput, match="verdicts first"):
        decide(a_run(), limits=LIMITS, budget=AMPLE, now=START)


def test_target_reached_is_promoted_at_once() -> None:
    run, decision = after((Result(96, broken=2), Result(99, broken_earlier=3)))
    assert isinstance(decision, Promote)
    assert decision.admission.candidate == run.iterations[0].judged[0].candidate


def test_low_score_rebuilds_the_data_with_more_gold_and_keeps_the_recipes() -> None:
    run, plan = next_plan((Result(60), Result(79)))
    before = run.iterations[0]
    assert plan.move is Move.REBUILD
    assert plan.data.size > before.data.size
    assert plan.data.gold > before.data.gold
    assert plan.recipes == before.recipes


def test_low_score_with_regressions_rebuilds_with_more_contrast_and_replay() -> None:
    run, plan = next_plan((Result(60, broken=9), Result(50, broken=9)))
    before = run.iterations[0].data
    assert plan.move is Move.REBUILD
    assert plan.data.size > before.size
    assert plan.data.hard > before.hard
    assert plan.data.replay > before.replay


def test_what_breaks_too_much_on_all_there_is_is_held_to_its_parent() -> None:
    plan = first_plan(a_model(), failures=500, repair=300, material=800)
    run = begin(a_diagnosis().model_copy(update={"material": 800}), a_model(), plan, START)
    run = recorded(run, Result(60, broken=3), Result(50, broken=9))
    decision = decide(run, limits=LIMITS, budget=AMPLE, now=START)
    assert isinstance(decision, Iterate)
    assert (decision.move, decision.data) == (Move.PROTECT, plan.data)
    assert all(recipe.strategy.orders == 2 for recipe in decision.recipes)


def test_middling_score_holds_the_data_and_tunes() -> None:
    for score in (80, 95):
        run, plan = next_plan((Result(60), Result(score)))
        assert plan.move is Move.TUNE
        assert plan.data == run.iterations[0].data
        assert not set(plan.recipes) & set(run.iterations[0].recipes)


def test_nearly_right_adds_two_then_three_examples_for_each_pattern() -> None:
    strict = Limits(target=0.99)
    run = recorded(a_run(), Result(96), Result(96))
    for expected in (2, 3):
        plan = decide(run, limits=strict, budget=AMPLE, now=START)
        assert isinstance(plan, Iterate)
        assert (plan.move, plan.data.surgical) == (Move.SURGICAL, expected)
        run = recorded(iterated(run, plan), Result(96), Result(96))
    plan = decide(run, limits=strict, budget=AMPLE, now=START)
    assert isinstance(plan, Iterate)
    assert (plan.move, plan.data.surgical) == (Move.TUNE, 3)


def test_high_score_refused_for_regressions_is_protected() -> None:
    run, plan = next_plan((Result(99, broken=3), Result(98, broken_earlier=3)))
    before = run.iterations[0]
    assert plan.move is Move.PROTECT
    assert plan.data.replay > before.data.replay
    assert plan.data.size > before.data.size
    assert all(recipe.strategy.congruence > 0 for recipe in plan.recipes)
    assert all(recipe.strategy.orders > 1 for recipe in plan.recipes)
    assert rates(plan) == rates(a_plan())


def test_protection_that_did_not_suffice_trains_gentler_and_keeps_its_strategy() -> None:
    broken = Result(99, broken=3), Result(98, broken=3)
    narrow = DataGrid(sizes=(600, 900), most_hard=0.33, most_replay=0.17)
    run = recorded(a_run(), *broken)
    for _ in range(2):
        plan = decide(run, limits=LIMITS, budget=AMPLE, now=START, data=narrow)
        assert isinstance(plan, Iterate)
        assert plan.move is Move.PROTECT
        before, run = run, recorded(iterated(run, plan), *broken)
    tried = before.iterations[-1].recipes
    assert [r.strategy for r in plan.recipes] == [r.strategy for r in tried]
    assert all(r.strategy.congruence for r in tried)
    assert rates(plan) < [recipe.hyperparameters.learning_rate for recipe in tried]


def test_protection_that_costs_score_is_not_a_step_back() -> None:
    _, plan = next_plan(
        (Result(99, broken=3), Result(99, broken=3)), (Result(85), Result(84, broken=1))
    )
    assert plan.move is Move.TUNE


def test_lower_score_goes_back_to_the_best_iteration_and_changes_recipes_only() -> None:
    run, plan = next_plan(
        (Result(70), Result(60)), (Result(90), Result(85)), (Result(89), Result(88))
    )
    best = run.iterations[1]
    assert run.iterations[1].data != run.iterations[0].data
    assert plan.move is Move.ROLL_BACK
    assert plan.data == best.data
    assert not set(plan.recipes) & {r for o in run.iterations[1:] for r in o.recipes}


def test_low_score_after_a_better_one_never_gets_more_data() -> None:
    run, plan = next_plan((Result(70), Result(60)), (Result(40), Result(30)))
    assert plan.move is Move.ROLL_BACK
    assert plan.data == run.iterations[0].data


def test_back_to_an_iteration_that_broke_too_much_trains_gentler() -> None:
    worse = Result(95, broken=3)
    run, plan = next_plan((Result(99, broken=3), Result(98, broken=3)), (worse, worse))
    best = run.iterations[0]
    assert (plan.move, plan.data) == (Move.ROLL_BACK, best.data)
    for recipe, before in zip(plan.recipes, best.recipes, strict=True):
        now, then = recipe.hyperparameters, before.hyperparameters
        assert now.learning_rate * now.epochs < then.learning_rate * then.epochs


def test_full_fine_tuning_is_never_tried_with_another_rank_alone() -> None:
    grid = RecipeGrid()
    full = grid.first("minilm", Method.FULL)
    assert {r.hyperparameters.lora_rank for r in grid.around(full, TUNING)} == {grid.lora_rank}


def test_unusable_candidates_are_answered_by_gentler_training() -> None:
    broken = Result(0, loads=False)
    run, plan = next_plan((broken, broken))
    assert plan.data == run.iterations[0].data
    assert all(now < then for now, then in zip(rates(plan), rates(a_plan()), strict=True))


def test_iterations_used_up_promotes_the_best_or_stops() -> None:
    once = Budget(iterations=1)
    _, better = after((Result(50), Result(40)), budget=once)
    assert isinstance(better, Promote)
    assert better.admission.score == 0.5
    _, nothing = after((Result(99, broken=3), Result(0)), budget=once)
    assert isinstance(nothing, Stop)
    assert "1 iterations are used" in nothing.reason


@pytest.mark.parametrize(
    ("took", "minutes", "why"),
    [
        (10, 20, None),
        (10, 19.9, "9.9 minutes are left, the last iteration took 10.0"),
        (30, 30, "all 30 minutes are used"),
        (31, 30, "all 30 minutes are used"),
        (0, 1, None),
    ],
)
def test_minutes_must_hold_another_iteration(took: float, minutes: float, why: str | None) -> None:
    now = START + timedelta(minutes=took)
    run = recorded(a_run(), Result(85), Result(85), now=now)
    decision = decide(run, limits=LIMITS, budget=Budget(50, minutes), now=now)
    if why is None:
        assert isinstance(decision, Iterate)
    else:
        assert isinstance(decision, Promote)
        assert decision.reason.startswith(why)


def test_equal_scores_prefer_fewer_regressions_then_lora() -> None:
    plain = first_plan(a_model(), failures=500, repair=300, recipes=RecipeGrid(blends=()))
    careful = chosen(recorded(a_run(plain), Result(90, broken=1), Result(90)))
    assert careful.strategy.method is Method.FULL
    cheap = chosen(recorded(a_run(plain), Result(90), Result(90)))
    assert cheap.strategy.method is Method.LORA


def test_a_blend_with_the_parent_is_preferred_to_what_is_no_better() -> None:
    blended = chosen(recorded(a_run(), Result(90), Result(90)))
    assert blended.strategy.blended > 0
    assert chosen(recorded(a_run(), Result(91), Result(90))).strategy.method is Method.LORA


@pytest.mark.parametrize(("error", "share"), [(0.02, 0.2), (0.005, 0.0)])
def test_what_a_standard_error_cannot_tell_apart_is_decided_by_safety(
    error: float, share: float
) -> None:
    run = recorded(a_run(), Result(80), Result(90))
    full = [a for a in run.admitted if a.candidate.recipe.strategy.method is Method.FULL]
    plain, blend, _ = full
    gains = {plain.candidate.id: 0.04, blend.candidate.id: 0.03}

    def measured(admission: Admission) -> Admission:
        gain = TrafficGain(gains.get(admission.candidate.id, 0.0), 0.0, error)
        report = replace(admission.verdict.report, traffic=gain)
        return replace(admission, verdict=Admitted(report))

    best = preferred(measured(admission) for admission in run.admitted)
    assert best
    assert best.candidate.recipe.strategy.blended == share


def test_a_blend_with_a_weak_parent_is_no_safe_choice() -> None:
    run = recorded(a_run(), Result(0), Result(90))

    def measured(admission: Admission, failing: float) -> Admission:
        report = replace(
            admission.verdict.report, traffic=TrafficGain(0.05, 0.03, 0.01, failing=failing)
        )
        return replace(admission, verdict=Admitted(report))

    weak = preferred(measured(admission, 0.15) for admission in run.admitted)
    strong = preferred(measured(admission, 0.05) for admission in run.admitted)
    assert weak
    assert strong
    assert weak.candidate.recipe.strategy.blended == 0
    assert strong.candidate.recipe.strategy.blended > 0


def test_few_held_out_failures_are_not_tuned_on() -> None:
    def measured(held: int) -> Decision:
        run = recorded(a_run(), Result(90), Result(90))
        last = run.iterations[-1]
        judged = tuple(
            replace(one, verdict=Admitted(replace(one.report, heldout=asked(held))))
            for one in last.judged
            if one.report
        )
        run = replace(run, iterations=(replace(last, judged=judged),))
        return decide(run, limits=LIMITS, budget=AMPLE, now=START)

    def asked(held: int) -> SetReport:
        return SetReport("heldout", held, 0, held // 2, ())

    few = measured(12)
    assert isinstance(few, Promote)
    assert "12 held-out rows" in few.reason
    assert isinstance(measured(40), Iterate)


def test_when_no_untried_move_is_left_the_run_ends() -> None:
    # Every step leads to the LoRA recipe that was tried, and one method alone is no plan.
    stuck = RecipeGrid(rates=(1e-3, 1e-3), ranks=(16, 16), epoch_range=(6, 6))
    run = recorded(a_run(), Result(85), Result(85))
    first = decide(run, limits=LIMITS, budget=AMPLE, now=START, recipes=stuck)
    assert isinstance(first, Promote)
    assert "no untried move" in first.reason
    refused = recorded(a_run(), Result(0), Result(0))
    narrow = DataGrid(sizes=(600, 600), most_gold=0.5)
    last = decide(refused, limits=LIMITS, budget=AMPLE, now=START, recipes=stuck, data=narrow)
    assert isinstance(last, Stop)


def test_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 iteration"):
        Budget(iterations=0)


shares = st.sampled_from([DataSpec(), DataSpec(gold=0.65, hard=0.35, replay=0.0, size=5000)])


@given(shares, st.lists(st.booleans(), max_size=12))
def test_data_moves_stay_within_the_paper_s_shares(data: DataSpec, moves: list[bool]) -> None:
    grid, first = DataGrid(), data
    for more_gold in moves:
        data = grid.towards_gold(data) if more_gold else grid.towards_hard_and_replay(data)
        assert grid.larger(data).size >= data.size
        if first.replay:
            assert 0.40 <= data.gold <= 0.60
            assert 0.25 <= data.hard <= 0.35
            assert 0.10 <= data.replay <= 0.20
        else:
            assert data.replay == 0.0


results = st.builds(
    Result,
    right=st.integers(0, 100),
    broken=st.integers(0, 6),
    broken_earlier=st.integers(0, 6),
    loads=st.sampled_from([True, True, True, False]),
)
worlds = st.lists(
    st.tuples(results, results, floats(0, 20)), min_size=8, max_size=8
)  # one for each iteration: LoRA, full, minutes it takes


def played(
    world: list[tuple[Result, Result, float]], budget: Budget
) -> tuple[Run, Promote | Stop, datetime]:
    """A whole run against a drawn world, through the real gate."""
    run, now = a_run(), START
    for lora, full, minutes in world:
        now += timedelta(minutes=minutes)
        run = recorded(run, lora, full, now=now)
        decision = decide(run, limits=LIMITS, budget=budget, now=now)
        if not isinstance(decision, Iterate):
            return run, decision, now
        assert now + run.last_duration <= START + timedelta(minutes=budget.minutes)
        run = iterated(run, decision)
    raise AssertionError(f"still iterating after {len(world)} iterations")


budgets = st.builds(Budget, iterations=st.integers(1, 8), minutes=st.floats(1, 100))


@settings(max_examples=300)
@given(worlds, budgets)
def test_every_run_ends_within_its_budget_with_the_best_the_gate_admitted(
    world: list[tuple[Result, Result, float]], budget: Budget
) -> None:
    run, end, _ = played(world, budget)
    assert len(run.iterations) <= budget.iterations
    tried = [(o.data, recipe) for o in run.iterations for recipe in o.recipes]
    assert len(set(tried)) == len(tried)
    assert all(methods(o.recipes) == BOTH for o in run.iterations)
    met = [result for *pair, _ in world[: len(run.iterations)] for result in pair]
    within = [r for r in met if r.loads and r.right and max(r.broken, r.broken_earlier) <= 2]
    match end:
        case Promote(admission):
            assert admission.verdict.report.regressions <= LIMITS.epsilon
            assert admission.score == max(r.right for r in within) / 100
        case Stop():
            assert not within


@given(worlds, budgets)
def test_data_never_grows_right_after_a_lower_score(
    world: list[tuple[Result, Result, float]], budget: Budget
) -> None:
    run, _, _ = played(world, budget)
    for number in range(2, len(run.iterations)):
        seen, following = run.iterations[:number], run.iterations[number]
        best = best_of(seen)
        if seen[-1].standing < best.standing:
            assert not grown(following.data, best.data)
            # A run that found nothing better for so long may combine what it has.
            if stagnation(seen) < SearchPolicy().patience:
                assert following.data == best.data
                assert following.move is Move.ROLL_BACK


@given(worlds, budgets)
def test_the_same_run_is_always_decided_the_same(
    world: list[tuple[Result, Result, float]], budget: Budget
) -> None:
    assert played(world, budget) == played(world, budget)


def test_large_sets_are_trained_for_fewer_epochs() -> None:
    grid = RecipeGrid()
    few, many = (grid.first("base", Method.FULL, rows=rows) for rows in (400, 4000))
    assert few.hyperparameters.epochs == grid.full_epochs
    assert many.hyperparameters.epochs == grid.least_epochs
