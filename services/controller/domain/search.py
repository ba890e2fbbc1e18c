"""What is trained next: a search over the graph of a run's pipelines (paper §2.2, App. A).

The rules of the iteration policy propose what to try from a pipeline (EXPAND); the search decides
from which one, and when to try something else (EVOLVE, FUSE). There is no hidden state and no
chance: a run's iterations decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import log, sqrt

from services.controller.domain.budget import FEWEST
from services.controller.domain.combining import evolved, fused
from services.controller.domain.decision import Iterate
from services.controller.domain.graph import Graph, Node, Pipeline, read_graph
from services.controller.domain.moves import DataGrid, RecipeGrid
from services.controller.domain.outcome import IterationOutcome
from services.controller.domain.proposals import Material, Proposal, Way, proposed, rolled_back
from services.controller.domain.run import Run
from shared.domain.pipeline import DataSpec, Recipe


@dataclass(frozen=True, slots=True)
class SearchPolicy:
    """How the search weighs what is promising against what is untried.

    ``exploration`` is c of UCT in the first iteration, ``decay`` its factor from one iteration to
    the next; after ``narrow_after`` iterations only the ``top`` pipelines are expanded. So many
    iterations as ``patience`` without a better score are stagnation. ``configurations`` are trained
    in each iteration, at least one for each method.
    """

    exploration: float = 0.2
    decay: float = 0.8
    narrow_after: int = 5
    top: int = 3
    patience: int = 3
    configurations: int = 2


def next_plan(
    run: Run,
    *,
    recipes: RecipeGrid,
    data: DataGrid,
    search: SearchPolicy,
    trainings: int | None = None,
) -> Iterate | None:
    """The next iteration, of ``trainings`` configurations at most; None when all was tried."""
    material = material_of(run, recipes=recipes, data=data)
    wide = search.configurations if trainings is None else min(search.configurations, trainings)
    plans = (_untried(proposal, material, wide) for proposal in _proposals(run, material, search))
    return next((plan for plan in plans if plan is not None), None)


def material_of(run: Run, *, recipes: RecipeGrid, data: DataGrid) -> Material:
    """What the next iteration of a run can be made of."""
    return Material(read_graph(run), recipes, data, run.deployed.version.base_model, run.material)


def stagnation(iterations: Sequence[IterationOutcome]) -> int:
    """How many iterations ago the best result was reached."""
    return len(iterations) - 1 - iterations.index(best_of(iterations))


def best_of(iterations: Sequence[IterationOutcome]) -> IterationOutcome:
    """The first of those that nothing exceeds."""
    return max(iterations, key=lambda outcome: outcome.standing)


def promise(graph: Graph, search: SearchPolicy, *, iteration: int) -> list[tuple[Node, float]]:
    """The nodes that may be expanded with their UCT, the most promising first.

    UCT(v) = mean of what v and all made from it earn + c(t)·√(ln N / n_v).
    """
    nodes, visits = list(graph.open), graph.visits()
    if iteration > search.narrow_after:
        nodes = sorted(nodes, key=lambda node: node.standing, reverse=True)[: search.top]
    explore = search.exploration * search.decay ** (iteration - 1)

    def uct(node: Node) -> float:
        seen = visits[node.name]
        return seen.mean + explore * sqrt(log(len(graph.nodes)) / seen.count)

    # The later of equals: it holds what was learned since.
    return sorted(((node, uct(node)) for node in reversed(nodes)), key=lambda found: -found[1])


def _proposals(run: Run, material: Material, search: SearchPolicy) -> Iterator[Proposal]:
    last, best = run.iterations[-1], best_of(run.iterations)
    fallen = last.standing < best.standing
    stuck = stagnation(run.iterations) - search.patience
    if stuck >= 0:
        for proposal in _unstuck(run, best, material, search, turn=stuck):
            # Never compensate for a lower score with more data (paper §2.4).
            if not (fallen and grown(proposal.data, best.data)):
                yield proposal
    elif fallen:
        yield rolled_back(last, best, material)
    else:
        yield from _expanded(run, material, search)


def grown(data: DataSpec, than: DataSpec) -> bool:
    """Whether a training set has more rows of any kind."""
    return data.size > than.size or data.surgical > than.surgical or data.noisy > than.noisy


def _expanded(run: Run, material: Material, search: SearchPolicy) -> Iterator[Proposal]:
    found = promise(material.graph, search, iteration=len(run.iterations))
    for node, uct in found:
        for proposal in proposed(node.outcome, material, node):
            if len(run.iterations) == 1:
                yield proposal
                continue
            said = f"{proposal.reason} (from {node.name}, promise {uct:.3f}, of {len(found)} open)"
            yield replace(proposal, reason=said)


def _unstuck(
    run: Run, best: IterationOutcome, material: Material, search: SearchPolicy, *, turn: int
) -> Iterator[Proposal]:
    """FUSE, EVOLVE and EXPAND in turns; what has nothing new leaves its turn to the next."""
    ways = [
        fused(best, material, top=search.top),
        evolved(best, material, turn=turn // 3),
        _expanded(run, material, search),
    ]
    yield from chain(*ways[turn % 3 :], *ways[: turn % 3])


def _untried(proposal: Proposal, material: Material, wide: int) -> Iterate | None:
    """The proposal with the first recipe of each way that is new, if every way has one."""
    tried = set(material.graph.tried)
    chosen: list[tuple[Recipe, Way]] = []
    waiting = {at: iter(way.recipes) for at, way in enumerate(proposal.ways)}
    while waiting and len(chosen) < max(wide, len(proposal.ways)):
        for at in list(waiting):
            recipe = _next_new(waiting[at], proposal.data, tried)
            if recipe is None:
                del waiting[at]
            elif len(chosen) < max(wide, len(proposal.ways)):
                chosen.append((recipe, proposal.ways[at]))
        # Where there are two methods, one alone is no plan.
        if len(chosen) < len(proposal.ways):
            return None
    # Paper §2.7: at least two configurations in parallel.
    return None if len(chosen) < FEWEST else _planned(proposal, chosen, material)


def _next_new(recipes: Iterator[Recipe], data: DataSpec, tried: set[Pipeline]) -> Recipe | None:
    for recipe in recipes:
        if (data, recipe.training) not in tried:
            tried.add((data, recipe.training))
            return recipe
    return None


def _planned(
    proposal: Proposal, chosen: Sequence[tuple[Recipe, Way]], material: Material
) -> Iterate:
    return Iterate(
        proposal.data,
        tuple(form for recipe, _ in chosen for form in material.forms(recipe)),
        proposal.move,
        proposal.reason,
        tuple(way.parents for _, way in chosen),
    )
