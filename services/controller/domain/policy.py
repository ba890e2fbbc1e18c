"""What to do after an iteration: promote, change one thing and iterate, or stop.

Implements paper §2.4 (the table) under §2.6 step 7 and §2.7 (gates, rollback first). The policy
returns a value; the handler acts on it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from services.controller.domain.decision import Decision, Iterate, Move, Promote, Stop
from services.controller.domain.moves import (
    GENTLER,
    KEEPING,
    PROTECTING,
    TUNING,
    DataGrid,
    RecipeGrid,
    Step,
)
from services.controller.domain.outcome import IterationOutcome, preferred
from services.controller.domain.run import Run
from shared.domain.evaluation import Limits
from shared.domain.lineage import DeployedModel
from shared.domain.pipeline import DataSpec, Method, Recipe
from shared.errors import BadInput

DATA_PROBLEM = 0.80
NEARLY_RIGHT = 0.95
# The best of several by fewer held-out failures is mostly the luckiest.
TELLING = 30

RECIPES = RecipeGrid()
DATA = DataGrid()


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use: trainings in a row, and minutes from its start."""

    iterations: int = 2
    minutes: float = 60.0

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.minutes <= 0:
            raise ValueError(
                f"budget of {self.iterations} iterations and {self.minutes:g} minutes: "
                "give at least 1 iteration and more than 0 minutes"
            )


def first_plan(
    deployed: DeployedModel,
    *,
    failures: int,
    repair: int,
    material: int = 0,
    recipes: RecipeGrid = RECIPES,
    data: DataGrid = DATA,
) -> Iterate:
    """The first iteration; ``repair`` of the ``failures`` may be learned from.

    ``material``: rows a training set may be composed of, 0 where that is not known.

    Raises BadInput when there is nothing to learn from.
    """
    if repair < 1:
        raise BadInput(
            f"none of {failures} failures of model {deployed.name!r} may be learned from: "
            "collect more failures before a run"
        )
    base = deployed.version.base_model
    spec = data.first(
        repair=repair,
        labels=len(deployed.task.labels),
        has_parent=deployed.version.training_set is not None,
        material=material,
    )
    rows = min(spec.size, material or spec.size)
    return Iterate(
        spec,
        tuple(
            recipe
            for method in Method
            for recipe in recipes.with_blends(recipes.first(base, method, rows=rows))
        ),
        Move.FIRST,
        f"first iteration: learn from {repair} of {failures} failures",
    )


def decide(
    run: Run,
    *,
    limits: Limits,
    budget: Budget,
    now: datetime,
    recipes: RecipeGrid = RECIPES,
    data: DataGrid = DATA,
) -> Decision:
    """How a run goes on after its last verdicts. Raises BadInput when no decision is due."""
    if not run.decision_due:
        raise BadInput(f"run {run.id} awaits no decision: record its iteration's verdicts first")
    best = preferred(run.admitted)
    if best is not None and best.score >= limits.target:
        return Promote(best, f"score {best.score:.3f} reaches the target {limits.target:g}")
    if best is not None and 0 < (held := best.verdict.report.heldout.total) < TELLING:
        return Promote(best, f"score {best.score:.3f}; {held} held-out failures tell no more apart")
    used_up = _used_up(run, budget, now)
    if used_up is not None:
        return settle(run, used_up)
    plans = (_untried(run, idea, recipes) for idea in _ideas(run, data))
    untried = next((plan for plan in plans if plan is not None), None)
    return untried or settle(run, "no untried move is left")


def settle(run: Run, why: str) -> Promote | Stop:
    """End with what there is: the best admitted candidate of all iterations, or nothing."""
    best = preferred(run.admitted)
    if best is None:
        return Stop(f"{why}; no candidate was admitted")
    return Promote(best, f"{why}; best admitted candidate, score {best.score:.3f}")


def _used_up(run: Run, budget: Budget, now: datetime) -> str | None:
    if len(run.iterations) >= budget.iterations:
        return f"all {budget.iterations} iterations are used"
    left = run.started_at + timedelta(minutes=budget.minutes) - now
    if left <= timedelta(0):
        return f"all {budget.minutes:g} minutes are used"
    if left < run.last_duration:
        return (
            f"{left.total_seconds() / 60:.1f} minutes are left, "
            f"the last iteration took {run.last_duration.total_seconds() / 60:.1f}"
        )
    return None


@dataclass(frozen=True, slots=True)
class _Idea:
    """A change worth trying: ``steps`` around the best recipes of ``anchor``, on ``data``."""

    move: Move
    anchor: IterationOutcome
    data: DataSpec
    steps: Sequence[Step]
    reason: str


def _ideas(run: Run, grid: DataGrid) -> Iterator[_Idea]:
    """What fits the last score (paper §2.4), then tuning H."""
    last = run.iterations[-1]
    # After a rollback the restored iteration is "the one before", and it is the best so far.
    best = max(run.iterations, key=lambda outcome: outcome.standing)
    if last.standing < best.standing:
        yield _rolled_back(last, best)
        return
    said = last.in_words
    if not last.evaluated:
        reason = "no candidate could be evaluated: gentler hyperparameters"
        yield _Idea(Move.TUNE, last, last.data, GENTLER, reason)
    elif last.score < DATA_PROBLEM:
        yield from _rebuilt(last, grid, run.material)
        if last.breaks_too_much:
            reason = f"{said}: the data is what there is, held to what the parent has right"
            yield _Idea(Move.PROTECT, last, last.data, PROTECTING, reason)
    elif last.breaks_too_much:
        # More passes halve what breaks, and soft targets need rows that the parent has right.
        guarded = grid.towards_hard_and_replay(grid.larger(last.data))
        reason = f"{said}: more hard negatives and replay, held to what the parent has right"
        yield _Idea(Move.PROTECT, last, guarded, PROTECTING, reason)
    elif last.score > NEARLY_RIGHT:
        yield from _surgical(last, grid)
    yield _Idea(Move.TUNE, last, last.data, TUNING, f"{said}: hold the data, tune hyperparameters")


def _rolled_back(last: IterationOutcome, best: IterationOutcome) -> _Idea:
    reason = (
        f"{last.in_words} after {best.in_words}: back to iteration {best.iteration}, "
        "change hyperparameters only"
    )
    steps = GENTLER if best.breaks_too_much else TUNING
    return _Idea(Move.ROLL_BACK, best, best.data, steps, reason)


def _rebuilt(last: IterationOutcome, grid: DataGrid, material: int) -> Iterator[_Idea]:
    if 0 < material <= last.data.size:
        # Whatever the shares, the set would hold the same rows again.
        noisier = grid.noisier(last.data)
        if noisier != last.data:
            reason = f"{last.in_words}, all {material} rows are in: twins with the noise of traffic"
            yield _Idea(Move.REBUILD, last, noisier, KEEPING, reason)
        return
    larger = grid.larger(last.data)
    if last.breaks_too_much:
        data, more = grid.towards_hard_and_replay(larger), "hard negatives and replay"
    else:
        data, more = grid.towards_gold(larger), "gold"
    if data != last.data:
        reason = f"{last.in_words}: rebuild the data with more {more}"
        yield _Idea(Move.REBUILD, last, data, KEEPING, reason)


def _surgical(last: IterationOutcome, grid: DataGrid) -> Iterator[_Idea]:
    data = grid.more_surgical(last.data)
    if data != last.data:
        reason = f"{last.in_words}: {data.surgical} examples for each remaining pattern"
        yield _Idea(Move.SURGICAL, last, data, KEEPING, reason)


def _untried(run: Run, idea: _Idea, grid: RecipeGrid) -> Iterate | None:
    """The idea with the first recipe of each method that is new on its data, if both have one."""
    tried = {(outcome.data, recipe) for outcome in run.iterations for recipe in outcome.recipes}
    chosen: list[Recipe] = []
    for method in Method:
        lead = idea.anchor.lead(method) or grid.first(run.deployed.version.base_model, method)
        fresh = (r for r in grid.around(lead, idea.steps) if (idea.data, r) not in tried)
        chosen.extend(islice(fresh, 1))
    # Paper §2.7: at least two configurations in parallel, so one method alone is no plan.
    if len(chosen) < len(Method):
        return None
    tried_out = tuple(blend for recipe in chosen for blend in grid.with_blends(recipe))
    return Iterate(idea.data, tried_out, idea.move, idea.reason)
