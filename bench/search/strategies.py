"""Three ways to spend a budget of trainings: by the policy, by one recipe, by chance.

Each says what to train first and, after an iteration's verdicts, how to go on. None of them sees
more than the run: what the gate was asked, never the test.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import exp, log
from random import Random
from typing import Any, Protocol

from bench.search.situation import Situation
from services.controller.domain.budget import Budget, used_up
from services.controller.domain.decision import Decision, Iterate, Move
from services.controller.domain.moves import DataGrid, RecipeGrid
from services.controller.domain.policy import decide, first_plan, settle
from services.controller.domain.run import Run
from services.controller.domain.search import SearchPolicy
from shared.domain.evaluation import Limits
from shared.domain.pipeline import DataSpec, Hyperparameters, Method, Recipe, Strategy

# Longer than any run: trainings alone are counted.
_ENDLESS_MINUTES = 1e9


@dataclass(frozen=True, slots=True)
class Rules:
    """What all strategies share: so many ``trainings``, the gate, and the ranges of π."""

    trainings: int
    limits: Limits = field(default_factory=Limits)
    recipes: RecipeGrid = field(default_factory=RecipeGrid)
    data: DataGrid = field(default_factory=DataGrid)
    search: SearchPolicy = field(default_factory=SearchPolicy)

    @classmethod
    def of(cls, trainings: int, *, most_rows: int) -> "Rules":
        """With training sets of at most so many rows, for every strategy alike."""
        least, _ = DataGrid().sizes
        return cls(trainings, data=DataGrid(sizes=(min(least, most_rows), most_rows)))

    @property
    def most_rows(self) -> int:
        """The largest training set that a strategy may ask for."""
        return self.data.sizes[1]

    @property
    def budget(self) -> Budget:
        """Without a refit: the strategies are compared on what they find."""
        return Budget(iterations=self.trainings, minutes=_ENDLESS_MINUTES, trainings=self.trainings)

    def describe(self) -> dict[str, Any]:
        return asdict(self)


class Way(Protocol):
    """A strategy in one situation."""

    def first(self) -> Iterate: ...

    def go_on(self, run: Run) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Search:
    """The controller's own policy: it begins, goes on, ends and chooses as in production."""

    situation: Situation
    rules: Rules

    def first(self) -> Iterate:
        return _policy_first(self.situation, self.rules)

    def go_on(self, run: Run) -> Decision:
        rules = self.rules
        return decide(
            run,
            limits=rules.limits,
            budget=rules.budget,
            now=run.started_at,
            recipes=rules.recipes,
            data=rules.data,
            search=rules.search,
        )


@dataclass(frozen=True, slots=True)
class Repeated:
    """Plans that do not look at results, until the budget is used; then the best admitted one."""

    plan: Callable[[int], Iterate]
    rules: Rules

    def first(self) -> Iterate:
        return self.plan(1)

    def go_on(self, run: Run) -> Decision:
        why = used_up(run, self.rules.budget, run.started_at)
        return settle(run, why) if why else self.plan(len(run.iterations) + 1)


def fixed(situation: Situation, rules: Rules) -> Way:
    """The policy's first data and recipes, each time with other training seeds."""
    first = _policy_first(situation, rules)

    def plan(iteration: int) -> Iterate:
        recipes = tuple(_reseeded(recipe, iteration - 1) for recipe in first.recipes)
        return replace(first, recipes=recipes, reason=f"the first plan, seeds of {iteration}")

    return Repeated(plan, rules)


def drawn(situation: Situation, rules: Rules, *, seed: str) -> Way:
    """Data and recipes by chance, one recipe of each method in an iteration, as the policy does.

    An iteration's draws depend on ``seed`` and its number alone.
    """
    base = situation.deployed.version.base_model

    def plan(iteration: int) -> Iterate:
        rng = Random(f"{seed}:{iteration}")
        data = draw_data(rules.data, rng)
        recipes = [draw_recipe(rules.recipes, base, method, rng) for method in Method]
        forms = tuple(form for recipe in recipes for form in rules.recipes.with_blends(recipe))
        return Iterate(data, forms, Move.FIRST, "drawn by chance")

    return Repeated(plan, rules)


def draw_data(grid: DataGrid, rng: Random) -> DataSpec:
    """D with shares uniform where the policy's moves can lead; the parent has a training set."""
    least_gold = 1 - grid.most_hard - grid.most_replay
    while True:
        gold = round(rng.uniform(least_gold, grid.most_gold), 4)
        hard = round(rng.uniform(grid.least_hard, grid.most_hard), 4)
        replay = round(1 - gold - hard, 4)
        if 0 <= replay <= grid.most_replay:
            break
    return DataSpec(
        gold=gold,
        hard=hard,
        replay=replay,
        size=rng.randint(*grid.sizes),
        surgical=rng.randint(0, grid.most_surgical),
        noisy=round(rng.uniform(grid.noisy, grid.most_noisy), 4),
    )


def draw_recipe(grid: RecipeGrid, base_model: str, method: Method, rng: Random) -> Recipe:
    """H log-uniform in rate and rank, uniform in epochs; S one of those the policy can turn to."""
    hyperparameters = Hyperparameters(
        base_model=base_model,
        learning_rate=float(f"{_log_uniform(grid.rates, rng):.3g}"),
        epochs=rng.randint(*grid.epoch_range),
        batch_size=grid.batch_size,
        lora_rank=round(_log_uniform(grid.ranks, rng)),
    )
    recipe = Recipe(hyperparameters, Strategy(method))
    orders = rng.choice((0, 1, 2))
    return grid.kept(recipe, orders=orders) if orders else recipe


# By name; a new strategy is its line here.
STRATEGIES: dict[str, Callable[[Situation, Rules, str], Way]] = {
    "search": lambda situation, rules, _: Search(situation, rules),
    "fixed": lambda situation, rules, _: fixed(situation, rules),
    "random": lambda situation, rules, seed: drawn(situation, rules, seed=seed),
}


def _policy_first(situation: Situation, rules: Rules) -> Iterate:
    event = situation.event
    return first_plan(
        situation.deployed,
        failures=event.failures,
        repair=event.repair,
        material=event.material,
        recipes=rules.recipes,
        data=rules.data,
    )


def _reseeded(recipe: Recipe, more: int) -> Recipe:
    h = recipe.hyperparameters
    return replace(recipe, hyperparameters=replace(h, seed=h.seed + more))


def _log_uniform(bounds: Sequence[float], rng: Random) -> float:
    return exp(rng.uniform(log(bounds[0]), log(bounds[1])))
