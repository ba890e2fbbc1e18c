"""The graph of a run's trained pipelines π = (D, H, S), with real scores (paper §2.2).

It is read from the run alone, so the same run always gives the same graph.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from services.controller.domain.decision import Move
from services.controller.domain.outcome import NOTHING, IterationOutcome, Judged
from services.controller.domain.run import Run
from shared.domain.evaluation import Admitted
from shared.domain.pipeline import DataSpec, Method, Recipe, pipeline_digest
from shared.events import Candidate

# D, with H and S.
Pipeline = tuple[DataSpec, Recipe]


@dataclass(frozen=True, slots=True)
class Node:
    """One training and all that was made of it: the pipeline itself and its blends.

    ``name``: the iteration and the place in it, as "2.1". ``parents``: names of the pipelines it
    was made from; without any it was made from what was deployed. ``judged``: verdicts of the
    training and its blends, none where it could not be trained.
    """

    name: str
    outcome: IterationOutcome
    recipe: Recipe
    parents: tuple[str, ...]
    judged: tuple[Judged, ...]

    @property
    def digest(self) -> str:
        """Content digest of π, the same in every run."""
        return pipeline_digest(self.data, self.recipe)

    @property
    def data(self) -> DataSpec:
        return self.outcome.data

    @property
    def move(self) -> Move:
        return self.outcome.move

    @property
    def method(self) -> Method:
        return self.recipe.strategy.method

    @property
    def best(self) -> Judged | None:
        """The verdict of its best form."""
        return max(self.judged, key=lambda judged: judged.standing, default=None)

    @property
    def standing(self) -> tuple[bool, float]:
        return self.best.standing if self.best else NOTHING

    @property
    def score(self) -> float:
        """f(π) of its best form, measured."""
        return self.standing[1]

    @property
    def admitted(self) -> bool:
        return any(isinstance(judged.verdict, Admitted) for judged in self.judged)

    @property
    def evaluated(self) -> bool:
        return any(judged.report is not None for judged in self.judged)


@dataclass(frozen=True, slots=True)
class Visits:
    """How often a pipeline and what was made of it were trained, and the mean of what they earn."""

    count: int
    mean: float


@dataclass(frozen=True, slots=True)
class Graph:
    """``nodes`` in the order they were trained, by name; parents come before their children."""

    nodes: Mapping[str, Node]

    @property
    def open(self) -> tuple[Node, ...]:
        """The nodes that may be expanded: the gate prunes those it refused.

        Without any admitted, all that were evaluated; without those, all.
        """
        every = tuple(self.nodes.values())
        admitted = tuple(node for node in every if node.admitted)
        return admitted or tuple(node for node in every if node.evaluated) or every

    @property
    def tried(self) -> frozenset[Pipeline]:
        """All pipelines asked for, whatever came of them: equal content is the same pipeline."""
        return frozenset((node.data, node.recipe) for node in self.nodes.values())

    def made(self, candidate_id: str) -> Node | None:
        """The training that made a candidate; None where it is the deployed model, calibrated."""
        for node in self.nodes.values():
            if any(judged.candidate.id == candidate_id for judged in node.judged):
                return node
        return None

    def ancestors(self, name: str) -> frozenset[str]:
        """All it was made from, at any distance; a graph, so each of them once."""
        found: set[str] = set()
        waiting = list(self.nodes[name].parents)
        while waiting:
            parent = waiting.pop()
            if parent not in found:
                found.add(parent)
                waiting.extend(self.nodes[parent].parents)
        return frozenset(found)

    def main_parent(self, node: Node) -> Node | None:
        """Of what it was made from, the best of its own method, else the best; None: deployed."""
        parents = [self.nodes[name] for name in node.parents]
        rank = {p.name: (p.method is node.method, p.standing) for p in parents}
        return max(parents, key=lambda parent: rank[parent.name], default=None)

    def way_to(self, node: Node) -> tuple[Node, ...]:
        """The node with its main parents, the oldest first."""
        parent = self.main_parent(node)
        return (*(self.way_to(parent) if parent else ()), node)

    def earns(self, node: Node) -> float:
        """Its score; refused, the deployed model's: what cannot be promoted changes nothing.

        While nothing is admitted, scores are all there is to go by.
        """
        if node.admitted or not any(other.admitted for other in self.nodes.values()):
            return node.score
        report = node.best.report if node.best else None
        return report.score_before if report else 0.0

    def visits(self) -> dict[str, Visits]:
        """Scores propagated to ancestors: each node counts once for itself and each ancestor."""
        counts = dict.fromkeys(self.nodes, 0)
        sums = dict.fromkeys(self.nodes, 0.0)
        for name, node in self.nodes.items():
            earned = self.earns(node)
            for reached in (name, *self.ancestors(name)):
                counts[reached] += 1
                sums[reached] += earned
        return {name: Visits(count, sums[name] / count) for name, count in counts.items()}


def read_graph(run: Run) -> Graph:
    """The graph of all verified iterations."""
    nodes: dict[str, Node] = {}
    for outcome in run.iterations:
        nodes |= {node.name: node for node in _nodes(outcome, nodes)}
    return Graph(nodes)


def _nodes(outcome: IterationOutcome, known: Mapping[str, Node]) -> Iterator[Node]:
    trainings = zip_longest(outcome.trainings, outcome.origins[: len(outcome.trainings)])
    for place, (recipe, parents) in enumerate(trainings, 1):
        yield Node(
            name=f"{outcome.iteration}.{place}",
            outcome=outcome,
            recipe=recipe,
            # A run from before origins were told has none that is known.
            parents=tuple(parent for parent in parents or () if parent in known),
            judged=tuple(j for j in outcome.judged if _made_by(recipe, j.candidate)),
        )


def _made_by(training: Recipe, candidate: Candidate) -> bool:
    return candidate.recipe.training == training and not candidate.calibrated
