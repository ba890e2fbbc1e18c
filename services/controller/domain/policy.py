"""What to do after an iteration: promote, change one thing and iterate, or stop.

Implements paper §2.4 under §2.6 step 7 and §2.7 (gates, rollback first): what ends a run is decided
here, what is trained next by the search. The policy returns a value; the handler acts on it.
"""

from collections import Counter
from collections.abc import Sequence
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
from services.controller.domain.outcome import Judged, preferred
from services.controller.domain.run import Run
from services.controller.domain.search import SearchPolicy, next_plan
from shared.domain.evaluation import Limits, Regressed
from shared.domain.lineage import DeployedModel
from shared.domain.patterns import Character, Standing
from shared.domain.tasks import Head, Task
from shared.errors import BadInput
from shared.events import Candidate, PatternSummary
from shared.tasks import behaviour

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
    patterns: Sequence[PatternSummary] = (),
    recipes: RecipeGrid = RECIPES,
    data: DataGrid = DATA,
) -> Iterate:
    """The first iteration; ``repair`` of the ``failures`` may be learned from.

    ``material``: rows a training set may be composed of, 0 where that is not known. Where a task
    tells misses from false finds, what most failures of its ``patterns`` are shifts the shares
    (paper §2.6 step 5).

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
    spec, leaning = data.leaning(spec, prevailing(deployed.task, patterns))
    rows = min(spec.size, material or spec.size)
    return Iterate(
        spec,
        tuple(
            recipe
            for method in recipes.methods
            for recipe in recipes.with_blends(recipes.first(base, method, rows=rows))
        ),
        Move.FIRST,
        f"first iteration: learn from {repair} of {failures} failures{leaning}",
    )


def prevailing(task: Task, patterns: Sequence[PatternSummary]) -> Character | None:
    """Which kind of error at least two thirds of the failures in patterns are, if any.

    None where a task has one label for an input: there a wrong answer is both, one label missed and
    another found falsely.
    """
    if behaviour(task).head is not Head.WORDS:
        return None
    sizes = Counter[Character]()
    for pattern in patterns:
        if pattern.character and pattern.standing is not Standing.SPURIOUS:
            sizes[pattern.character] += pattern.size
    if not sizes:
        return None
    ((character, most),) = sizes.most_common(1)
    return character if most * 3 >= sizes.total() * 2 else None


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

    What is to be promoted, or nearly was, may first be trained once more, with all that was held
    out.
    """
    if not run.decision_due:
        raise BadInput(f"run {run.id} awaits no decision: record its iteration's verdicts first")
    if run.iterations[-1].move is Move.REFIT:
        learned = "it learned what was held out too"
        refused = "with what was held out it was refused"
        return settle(run, learned if run.iterations[-1].admitted else refused)
    found = _searched(run, limits, budget, now, recipes=recipes, data=data, search=search)
    if not refit_fits(run, budget, now):
        return found
    last = iterations_left(run, budget) == 1
    if isinstance(found, Iterate) and run.admitted and last:
        found = settle(run, "the last iteration is kept for what was held out")
    if isinstance(found, Promote):
        return _refitted(run, found.admission.candidate, found.reason) or found
    best = promising(run)
    if best is not None and (last or isinstance(found, Stop)):
        reason = f"nothing was admitted, but {best.candidate.name} helps traffic as a whole"
        return _refitted(run, best.candidate, reason) or found
    return found


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

    One that was trained again with what was held out stands for its twin.
    """
    again = [one for o in run.iterations if o.move is Move.REFIT for one in o.admitted]
    best = preferred(again or run.admitted)
    if best is None:
        return Stop(f"{why}; no candidate was admitted")
    return Promote(best, f"{why}; best admitted candidate, score {best.score:.3f}")


def promising(run: Run) -> Judged | None:
    """Of what breaks too much of the regression set the one that helps traffic most, if any does.

    It learned without the rows that it was measured on. With them it may keep more, and the gate
    will ask the regression set of it anew, which neither ever learns.
    """
    if run.admitted:
        return None
    helping = [
        (report.traffic.mean, judged.candidate.id, judged)
        for outcome in run.iterations
        for judged in outcome.judged
        if isinstance(judged.verdict, Regressed)
        and (report := judged.verdict.report).traffic
        and report.traffic.at_least > 0
        and report.heldout.right_after > report.heldout.right_before
    ]
    return max(helping)[-1] if helping else None


def _refitted(run: Run, candidate: Candidate, why: str) -> Iterate | None:
    """The recipe of a candidate, on its data and the rows that it was measured on.

    They are what teaches most; the score stays that of their twins, which never saw them.
    """
    # One training gives the blends too: one of them may keep what another breaks.
    node = read_graph(run).made(candidate.id)
    if node is None or not any(j.report and j.report.heldout.total for j in node.judged):
        return None
    twins = tuple(judged.candidate for judged in node.judged)
    return Iterate(
        replace(node.data, heldout=True),
        tuple(twin.recipe for twin in twins),
        Move.REFIT,
        f"{why}; once more, with what was held out",
        origins=((node.name,),),
        twins=twins,
    )
