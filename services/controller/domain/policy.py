"""What to do after an iteration: promote, change one thing and iterate, or stop.

Implements paper §2.4 under §2.6 step 7 and §2.7 (gates, rollback first): what ends a run is decided
here, what is trained next by the search. The policy returns a value; the handler acts on it.
"""

from dataclasses import replace
from datetime import datetime

from services.controller.domain.budget import (
    Budget,
    iterations_left,
    refit_fits,
    trainings_left,
    used_up,
)
from services.controller.domain.decision import Decision, Iterate, Move, Promote, Stop
from services.controller.domain.graph import read_graph
from services.controller.domain.moves import DataGrid, RecipeGrid
from services.controller.domain.outcome import preferred
from services.controller.domain.run import Run
from services.controller.domain.search import SearchPolicy, next_plan
from shared.domain.evaluation import Limits
from shared.domain.lineage import DeployedModel
from shared.domain.pipeline import Method
from shared.errors import BadInput

# The best of several by fewer held-out failures is mostly the luckiest.
TELLING = 30

RECIPES = RecipeGrid()
DATA = DataGrid()
SEARCH = SearchPolicy()


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
    recipes = recipes.for_task(deployed.task)
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
    search: SearchPolicy = SEARCH,
) -> Decision:
    """How a run goes on after its last verdicts. Raises BadInput when no decision is due.

    What is to be promoted may first be trained once more, with the held-out failures.
    """
    if not run.decision_due:
        raise BadInput(f"run {run.id} awaits no decision: record its iteration's verdicts first")
    if run.iterations[-1].move is Move.REFIT:
        learned = "it learned its held-out failures too"
        refused = "with its held-out failures it was refused, so without them"
        return settle(run, learned if run.iterations[-1].admitted else refused)
    found = _searched(run, limits, budget, now, recipes=recipes, data=data, search=search)
    if not refit_fits(run, budget, now):
        return found
    if isinstance(found, Iterate) and run.admitted and iterations_left(run, budget) == 1:
        found = settle(run, "the last iteration is kept for what was held out")
    return (_refitted(run, found) or found) if isinstance(found, Promote) else found


def _searched(
    run: Run,
    limits: Limits,
    budget: Budget,
    now: datetime,
    *,
    recipes: RecipeGrid,
    data: DataGrid,
    search: SearchPolicy,
) -> Decision:
    best = preferred(run.admitted)
    if best is not None and best.score >= limits.target:
        return Promote(best, f"score {best.score:.3f} reaches the target {limits.target:g}")
    if best is not None and 0 < (held := best.verdict.report.heldout.total) < TELLING:
        return Promote(best, f"score {best.score:.3f}; {held} held-out rows tell no more apart")
    why = used_up(run, budget, now)
    if why is not None:
        return settle(run, why)
    left = trainings_left(run, budget)
    recipes = recipes.for_task(run.deployed.task)
    plan = next_plan(run, recipes=recipes, data=data, search=search, trainings=left)
    return plan or settle(run, "no untried move is left")


def settle(run: Run, why: str) -> Promote | Stop:
    """End with what there is: the best admitted candidate of all iterations, or nothing.

    One that was trained again with the held-out failures stands for its twin.
    """
    again = [one for o in run.iterations if o.move is Move.REFIT for one in o.admitted]
    best = preferred(again or run.admitted)
    if best is None:
        return Stop(f"{why}; no candidate was admitted")
    return Promote(best, f"{why}; best admitted candidate, score {best.score:.3f}")


def _refitted(run: Run, promote: Promote) -> Iterate | None:
    """The recipe of what was admitted, on its data and the failures that it was measured on.

    They are what teaches most; the score stays that of their twins, which never saw them.
    """
    admission = promote.admission
    if admission.verdict.report.heldout.total == 0:
        return None
    # One training gives the blends too: one of them may keep what another breaks.
    node = read_graph(run).made(admission.candidate.id)
    if node is None:
        return None
    twins = tuple(judged.candidate for judged in node.judged)
    return Iterate(
        replace(node.data, heldout=True),
        tuple(twin.recipe for twin in twins),
        Move.REFIT,
        f"{promote.reason}; once more, with the held-out failures",
        origins=((node.name,),),
        twins=twins,
    )
