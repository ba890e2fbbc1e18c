"""What may be tried next from one iteration: the moves that fit its failure (paper §2.4)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.controller.domain.decision import Move
from services.controller.domain.graph import Graph, Node
from services.controller.domain.moves import (
    GENTLER,
    KEEPING,
    PROTECTING,
    TUNING,
    DataGrid,
    RecipeGrid,
    Step,
)
from services.controller.domain.outcome import IterationOutcome
from services.controller.domain.trends import by_gain
from shared.domain.pipeline import DataSpec, Method, Recipe

DATA_PROBLEM = 0.80
NEARLY_RIGHT = 0.95


@dataclass(frozen=True, slots=True)
class Way:
    """One configuration: the first of ``recipes`` that is new; ``parents`` it is made from."""

    recipes: tuple[Recipe, ...]
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change worth trying on ``data``: each of the ways gives a configuration."""

    move: Move
    data: DataSpec
    ways: tuple[Way, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Material:
    """All that proposals are made of: the graph, the ranges, the base, and the rows there are.

    ``rows`` is 0 where that is not known.
    """

    graph: Graph
    recipes: RecipeGrid
    data: DataGrid
    base_model: str
    rows: int = 0

    def leads(self, outcome: IterationOutcome, chosen: Node | None = None) -> dict[Method, Node]:
        """For each method the training of an iteration that did best, or the one chosen.

        Where the gate refused all of a method's there, the best it admitted elsewhere, if any.
        """
        open_nodes = {node.name for node in self.graph.open}

        def rank(node: Node) -> tuple[bool, bool, tuple[bool, float]]:
            here = node.outcome.iteration == outcome.iteration
            return (node.name in open_nodes, here, node.standing)

        found: dict[Method, Node] = {}
        for node in self.graph.nodes.values():
            if node.method not in found or rank(node) > rank(found[node.method]):
                found[node.method] = node
        return found | ({chosen.method: chosen} if chosen else {})

    def around(self, leads: Mapping[Method, Node], steps: Sequence[Step]) -> tuple[Way, ...]:
        """For each method its lead changed by each step; best guesses first."""
        return tuple(
            self._around(leads.get(method), method, steps) for method in self.recipes.methods
        )

    def forms(self, recipe: Recipe) -> Iterator[Recipe]:
        """All that one training makes. Weights of another base model do not blend."""
        if recipe.hyperparameters.base_model == self.base_model:
            yield from self.recipes.with_blends(recipe)
        else:
            yield recipe

    def _around(self, lead: Node | None, method: Method, steps: Sequence[Step]) -> Way:
        if lead is None:
            first = self.recipes.first(self.base_model, method)
            return Way(tuple(self.recipes.around(first, steps)), ())
        # What helped before is tried first; other steps have their order for a reason.
        steps = by_gain(self.graph, method, steps) if steps is TUNING else steps
        return Way(tuple(self.recipes.around(lead.recipe, steps)), (lead.name,))


def proposed(
    outcome: IterationOutcome, material: Material, chosen: Node | None = None
) -> Iterator[Proposal]:
    """What fits an iteration's score, then tuning H; ``chosen``: the node to go on from."""
    leads, said = material.leads(outcome, chosen), outcome.in_words
    if not outcome.evaluated:
        reason = "no candidate could be evaluated: gentler hyperparameters"
        yield Proposal(Move.TUNE, outcome.data, material.around(leads, GENTLER), reason)
    elif material.data.grows and outcome.data.size < material.rows:
        data = material.data.larger(outcome.data)
        reason = f"{said}: {data.size} instead of {outcome.data.size} of {material.rows} rows"
        yield Proposal(Move.REBUILD, data, material.around(leads, KEEPING), reason)
    elif outcome.score < DATA_PROBLEM:
        for data, reason in _rebuilt(outcome, material):
            yield Proposal(Move.REBUILD, data, material.around(leads, KEEPING), reason)
        if outcome.breaks_too_much:
            reason = f"{said}: the data is what there is, held to what the parent has right"
            yield Proposal(Move.PROTECT, outcome.data, material.around(leads, PROTECTING), reason)
    elif outcome.breaks_too_much:
        # More passes halve what breaks, and soft targets need rows that the parent has right.
        grid = material.data
        guarded = grid.towards_hard_and_replay(grid.larger(outcome.data))
        reason = f"{said}: more hard negatives and replay, held to what the parent has right"
        yield Proposal(Move.PROTECT, guarded, material.around(leads, PROTECTING), reason)
    elif outcome.score > NEARLY_RIGHT:
        data = material.data.more_surgical(outcome.data)
        if data != outcome.data:
            reason = f"{said}: {data.surgical} examples for each remaining pattern"
            yield Proposal(Move.SURGICAL, data, material.around(leads, KEEPING), reason)
    tuned = material.around(leads, TUNING)
    yield Proposal(Move.TUNE, outcome.data, tuned, f"{said}: hold the data, tune hyperparameters")


def rolled_back(last: IterationOutcome, best: IterationOutcome, material: Material) -> Proposal:
    """Back to the best iteration's data; only recipes change (paper §2.4, §2.7)."""
    reason = (
        f"{last.in_words} after {best.in_words}: back to iteration {best.iteration}, "
        "change hyperparameters only"
    )
    steps = GENTLER if best.breaks_too_much else TUNING
    ways = material.around(material.leads(best), steps)
    return Proposal(Move.ROLL_BACK, best.data, ways, reason)


def _rebuilt(outcome: IterationOutcome, material: Material) -> Iterator[tuple[DataSpec, str]]:
    grid, said = material.data, outcome.in_words
    if 0 < material.rows <= outcome.data.size:
        # Whatever the shares, the set would hold the same rows again.
        noisier = grid.noisier(outcome.data)
        if noisier != outcome.data:
            yield (
                noisier,
                f"{said}, all {material.rows} rows are in: twins with the noise of traffic",
            )
        return
    larger = grid.larger(outcome.data)
    if outcome.breaks_too_much:
        data, more = grid.towards_hard_and_replay(larger), "hard negatives and replay"
    else:
        data, more = grid.towards_gold(larger), "gold"
    if data != outcome.data:
        yield data, f"{said}: rebuild the data with more {more}"
