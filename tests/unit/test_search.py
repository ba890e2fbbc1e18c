"""The search over pipelines: what it can never do, and how it goes on when nothing gets better."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import geometric_mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.controller.domain.budget import Budget, spent
from services.controller.domain.combining import branches
from services.controller.domain.decision import Decision, Iterate, Move, Promote
from services.controller.domain.graph import read_graph
from services.controller.domain.moves import TUNING, RecipeGrid
from services.controller.domain.policy import decide
from services.controller.domain.run import Run
from services.controller.domain.search import SearchPolicy, best_of, grown, promise, stagnation
from services.controller.domain.trends import by_gain
from shared.domain.evaluation import Admitted
from shared.domain.pipeline import Method, Recipe
from tests.unit.floats import floats
from tests.unit.run_builders import LIMITS, START, Result, a_run, iterated, recorded

AMPLE = Budget(iterations=50, minutes=1000)
RUN = TypeAdapter(Run)

results = st.builds(
    Result,
    right=st.integers(0, 100),
    broken=st.integers(0, 6),
    loads=st.sampled_from([True, True, True, False]),
)
worlds = st.lists(st.lists(results, min_size=4, max_size=4), min_size=12, max_size=12)
widths = st.integers(2, 4)


def steps(
    world: list[list[Result]], *, wide: int = 2, budget: Budget = AMPLE
) -> Iterator[tuple[Run, Decision]]:
    """A run against a drawn world: each state in which a decision was due, and the decision."""
    run = a_run()
    for drawn in world:
        # The first iteration has one configuration for each method.
        run = recorded(run, *drawn[: 2 if not run.iterations else wide])
        policy = SearchPolicy(configurations=wide)
        decision = decide(run, limits=LIMITS, budget=budget, now=START, search=policy)
        yield run, decision
        if not isinstance(decision, Iterate):
            return
        wide = len({recipe.training for recipe in decision.recipes})
        run = iterated(run, decision)


def against(*scores: tuple[float, float] | tuple[Result, Result]) -> tuple[Run, Decision]:
    """The last state and decision when LoRA and full fine-tuning score so, pair by pair."""
    world = [[s if isinstance(s, Result) else Result(int(s)) for s in pair] for pair in scores]
    *_, last = steps(world)
    return last


def planned(*scores: tuple[float, float] | tuple[Result, Result]) -> tuple[Run, Iterate]:
    run, decision = against(*scores)
    assert len(run.iterations) == len(scores)
    assert isinstance(decision, Iterate), decision
    return run, decision


@settings(max_examples=30)
@given(worlds, widths)
def test_no_pipeline_is_trained_twice(world: list[list[Result]], wide: int) -> None:
    for run, _ in steps(world, wide=wide):
        trained = [node.digest for node in read_graph(run).nodes.values()]
        assert len(set(trained)) == len(trained)


@settings(max_examples=30)
@given(
    worlds,
    widths,
    st.builds(
        Budget,
        iterations=st.integers(1, 12),
        minutes=st.just(1000.0),
        trainings=st.none() | st.integers(2, 20),
        gpu_seconds=st.none() | st.floats(1, 60),
        money=st.none() | floats(0.001, 0.02),
        hour_price=st.just(1.0),
    ),
)
def test_a_run_ends_within_its_budget_and_promotes_what_the_gate_admitted(
    world: list[list[Result]], wide: int, budget: Budget
) -> None:
    *_, (run, end) = steps(world, wide=wide, budget=budget)
    assert not isinstance(end, Iterate) or len(run.iterations) == len(world)
    used = spent(run, budget)
    first = run.iterations[0].gpu_seconds
    assert len(run.iterations) <= budget.iterations
    assert used.trainings <= (budget.trainings or used.trainings)
    # What an iteration will cost is thought to be what the last one did; wider ones cost more.
    longest = max(outcome.gpu_seconds for outcome in run.iterations)
    limit = budget.gpu_seconds or used.gpu_seconds
    assert used.gpu_seconds <= max(limit, first) + longest - first + 1e-9
    if isinstance(end, Promote):
        assert isinstance(end.admission.verdict, Admitted)
        assert end.admission.verdict.report.regressions <= LIMITS.epsilon


@settings(max_examples=30)
@given(worlds, widths)
def test_each_iteration_has_a_configuration_of_each_method_at_least(
    world: list[list[Result]], wide: int
) -> None:
    for _, decision in steps(world, wide=wide):
        if isinstance(decision, Iterate):
            trained = {recipe.training for recipe in decision.recipes}
            assert {recipe.strategy.method for recipe in trained} == set(Method)
            assert 2 <= len(trained) <= wide
            assert len(decision.origins) == len(trained)


@settings(max_examples=30)
@given(worlds, widths)
def test_data_never_grows_after_a_lower_score(world: list[list[Result]], wide: int) -> None:
    for run, decision in steps(world, wide=wide):
        best, last = best_of(run.iterations), run.iterations[-1]
        if isinstance(decision, Iterate) and last.standing < best.standing:
            assert not grown(decision.data, best.data)


@settings(max_examples=20)
@given(worlds, widths)
def test_a_run_read_back_is_decided_the_same(world: list[list[Result]], wide: int) -> None:
    policy = SearchPolicy(configurations=wide)
    for run, decision in steps(world, wide=wide):
        again = RUN.validate_json(RUN.dump_json(run))
        assert again == run
        assert decision == decide(again, limits=LIMITS, budget=AMPLE, now=START, search=policy)


@settings(max_examples=30)
@given(worlds, widths)
def test_visits_and_means_reach_every_ancestor_once(world: list[list[Result]], wide: int) -> None:
    *_, (run, _) = steps(world, wide=wide)
    graph = read_graph(run)
    below = {name: [name] for name in graph.nodes}
    for name in graph.nodes:
        for ancestor in graph.ancestors(name):
            below[ancestor].append(name)
    for name, seen in graph.visits().items():
        earned = [graph.earns(graph.nodes[each]) for each in below[name]]
        assert seen.count == len(set(below[name])) == len(below[name])
        assert seen.mean == pytest.approx(sum(earned) / len(earned))
        assert name not in graph.ancestors(name)


@settings(max_examples=30)
@given(worlds, widths)
def test_what_the_gate_refused_is_kept_but_not_expanded(
    world: list[list[Result]], wide: int
) -> None:
    for run, decision in steps(world, wide=wide):
        graph = read_graph(run)
        assert len(graph.nodes) == sum(len(o.trainings) for o in run.iterations)
        admitted = {node.method for node in graph.nodes.values() if node.admitted}
        if isinstance(decision, Iterate):
            parents = [graph.nodes[name] for names in decision.origins for name in names]
            assert all(node.admitted or node.method not in admitted for node in parents)


def test_every_node_comes_from_what_it_was_made_from() -> None:
    run, _ = planned((60, 70), (70, 75), (75, 79))
    parents = {name: node.parents for name, node in read_graph(run).nodes.items()}
    assert parents == {
        "1.1": (),
        "1.2": (),
        "2.1": ("1.1",),
        "2.2": ("1.2",),
        "3.1": ("2.1",),
        "3.2": ("2.2",),
    }


def test_a_run_from_before_origins_were_told_is_read() -> None:
    run, _ = planned((60, 70), (70, 75))
    old = replace(run, iterations=tuple(replace(o, origins=()) for o in run.iterations))
    assert all(not node.parents for node in read_graph(old).nodes.values())
    assert isinstance(decide(old, limits=LIMITS, budget=AMPLE, now=START), Iterate)


def test_a_run_that_gets_better_goes_on_from_its_last_iteration() -> None:
    _, plan = planned((60, 70), (70, 75), (75, 79))
    assert plan.move is Move.REBUILD
    assert plan.origins == (("3.1",), ("3.2",))


def test_exploration_decays_and_then_only_the_top_is_looked_at() -> None:
    run, _ = planned((81, 82), (83, 84), (85, 86), (88, 87))
    graph, policy = read_graph(run), SearchPolicy(narrow_after=4, top=2)
    early, late = (promise(graph, policy, iteration=at) for at in (1, 4))
    bonus = [uct - graph.visits()[node.name].mean for node, uct in early]
    later = [uct - graph.visits()[node.name].mean for node, uct in late]
    assert sum(later) < sum(bonus)
    narrow = promise(graph, policy, iteration=5)
    assert {node.name for node, _ in narrow} == {"4.1", "4.2"}


def test_an_untried_branch_is_explored_before_a_worn_one() -> None:
    def graph(visited: float) -> list[str]:
        run, _ = planned((85, 70), (visited, 84), (visited, 84))
        return [node.name for node, _ in promise(read_graph(run), SearchPolicy(), iteration=3)]

    # 1.1 did best of the first pair, but what was made of it disappoints.
    assert graph(60).index("2.2") < graph(60).index("1.1")


STUCK = [(85.0, 86.0), (84.0, 83.0), (82.0, 85.0), (81.0, 80.0)]


def test_stagnation_is_answered_by_the_best_of_different_branches_in_one() -> None:
    run, plan = planned(*STUCK)
    assert stagnation(run.iterations) == SearchPolicy().patience
    assert plan.move is Move.FUSE
    graph = read_graph(run)
    leaders = plan.origins[0]
    assert len(leaders) >= 2
    assert not any(name in graph.ancestors(other) for name in leaders for other in leaders)
    assert list(leaders) == [node.name for node in branches(graph)[: len(leaders)]]
    assert not grown(plan.data, best_of(run.iterations).data)
    # What kept a branch from breaking things is in all that is fused.
    strategies = [graph.nodes[name].recipe.strategy for name in leaders]
    kept = max(strategy.congruence for strategy in strategies)
    assert {recipe.strategy.congruence for recipe in plan.recipes} == {kept}


def in_four_bits(told: Any) -> Any:
    """The same state, its LoRA trained on a base in 4-bit."""
    if isinstance(told, list):
        return [in_four_bits(one) for one in told]
    if not isinstance(told, dict):
        return told
    small = {"four_bit": True} if told.get("method") == Method.LORA else {}
    return {name: in_four_bits(one) for name, one in told.items()} | small


def test_a_base_in_four_bits_stays_so_whatever_a_plan_is_made_of() -> None:
    moves = set[Move]()
    world = [[Result(int(s)) for s in pair] for pair in [*STUCK, *[(70, 71)] * 4]]
    for run, _ in steps(world):
        small = RUN.validate_python(in_four_bits(RUN.dump_python(run, mode="json")))
        grid = RecipeGrid(four_bit=True)
        plan = decide(small, limits=LIMITS, budget=AMPLE, now=START, recipes=grid)
        assert isinstance(plan, Iterate), plan
        moves.add(plan.move)
        for recipe in plan.recipes:
            assert recipe.strategy.four_bit == (recipe.strategy.method is Method.LORA)
    assert moves >= {Move.FUSE, Move.EVOLVE}


def test_fused_hyperparameters_are_the_mean_of_those_they_come_from() -> None:
    run, plan = planned((85, 60), (84, 60), (83, 59), (82, 59))
    graph = read_graph(run)
    rates = [
        graph.nodes[name].recipe.hyperparameters.learning_rate
        for name in plan.origins[0]
        if graph.nodes[name].method is Method.LORA
    ]
    assert len(set(rates)) > 1
    fused = plan.recipes[0].hyperparameters.learning_rate
    assert fused == pytest.approx(geometric_mean(rates), rel=0.01)


def test_longer_stagnation_is_answered_by_another_approach_and_then_from_another_node() -> None:
    run, plan = planned(*STUCK, (80, 79))
    assert plan.move is Move.EVOLVE
    assert plan.data == best_of(run.iterations).data
    tried = {node.recipe.strategy for node in read_graph(run).nodes.values()}
    assert any(recipe.training.strategy not in tried for recipe in plan.recipes)
    _, after = planned(*STUCK, (80, 79), (80, 79))
    assert after.move not in (Move.EVOLVE, Move.FUSE, Move.ROLL_BACK)


def test_something_better_ends_stagnation() -> None:
    _, plan = planned(*STUCK, (90, 80))
    assert plan.move is Move.TUNE
    assert all("5." in name for names in plan.origins for name in names)


def test_a_larger_base_is_the_last_remedy() -> None:
    run = a_run()
    grid, moves = RecipeGrid(bases=("minilm", "bert-large")), list[Decision]()
    for _ in range(45):
        run = recorded(run, Result(85), Result(85))
        decision = decide(run, limits=LIMITS, budget=AMPLE, now=START, recipes=grid)
        if not isinstance(decision, Iterate):
            break
        moves.append(decision)
        if any(_base(recipe) == "bert-large" for recipe in decision.recipes):
            break
        run = iterated(run, decision)
    last = moves[-1]
    assert isinstance(last, Iterate)
    assert {_base(recipe) for recipe in last.recipes} == {"bert-large"}
    # Weights of another base do not blend.
    assert not any(recipe.strategy.blended for recipe in last.recipes)
    assert len(moves) > 5


@pytest.mark.parametrize(("score", "place"), [(90, 0), (85, 0), (70, -1)])
def test_what_helped_is_tried_again_first_and_what_hurt_last(score: float, place: int) -> None:
    run, plan = planned((85, 80))
    tuned = recorded(iterated(run, plan), Result(int(score)), Result(80))
    changed = TUNING[0]
    lead = run.iterations[0].recipes[0].hyperparameters
    assert plan.recipes[0].hyperparameters.epochs == round(lead.epochs * changed.epochs)
    order = by_gain(read_graph(tuned), Method.LORA, TUNING)
    assert set(order) == set(TUNING)
    assert order[place] == changed


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(50, 1000, trainings=3), "1 of 3 trainings are left"),
        (Budget(50, 1000, gpu_seconds=4.0), "all 4 GPU-seconds are used"),
        (Budget(50, 1000, gpu_seconds=7.0), "3.000 GPU-seconds are left"),
        (Budget(50, 1000, money=0.001, hour_price=1.0), "all 0.001 money are used"),
    ],
)
def test_each_budget_ends_the_search_with_the_best_there_is(budget: Budget, why: str) -> None:
    # Two trainings of a second each, and two seconds of answering.
    run = recorded(a_run(), Result(85), Result(85))
    assert spent(run, budget).gpu_seconds == 4.0
    end = decide(run, limits=LIMITS, budget=budget, now=START)
    assert isinstance(end, Promote)
    assert end.reason.startswith(why)


def test_money_without_a_price_is_refused() -> None:
    with pytest.raises(ValueError, match="price of an hour"):
        Budget(money=3.0)
    with pytest.raises(ValueError, match="1 trainings: give at least 2"):
        Budget(trainings=1)


def _base(recipe: Recipe) -> str:
    return recipe.hyperparameters.base_model
