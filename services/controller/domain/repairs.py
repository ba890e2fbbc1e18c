"""Which intervention fixed which error pattern: measured on its held-out failures alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.controller.domain.graph import Graph, Node
from services.controller.domain.run import Run
from services.controller.domain.states import Promoted


@dataclass(frozen=True, slots=True)
class Repair:
    """How many held-out failures of a pattern are right, before and after one training.

    ``before`` is what the pipeline had that it was made from, or the deployed model.
    """

    pattern: str
    node: Node
    total: int
    before: int
    after: int

    @property
    def gain(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Fixed:
    """What became of a pattern on the way to one pipeline; ``steps``: what changed it.

    ``by`` is the one that fixed most, None when none did.
    """

    pattern: str
    total: int
    before: int
    after: int
    steps: tuple[Repair, ...]

    @property
    def by(self) -> Repair | None:
        best = max(self.steps, key=lambda step: step.gain, default=None)
        return best if best and best.gain > 0 else None


def repairs(graph: Graph, node: Node) -> tuple[Repair, ...]:
    """What one training changed of each pattern, largest gain first; empty where nobody counted."""
    now, parent = _right(node), graph.main_parent(node)
    was = _right(parent) if parent else {}
    report = node.best.report if node.best else None
    found = [
        Repair(
            pattern=one.pattern,
            node=node,
            total=one.total,
            before=was.get(one.pattern, one.right_before),
            after=now[one.pattern],
        )
        for one in (report.patterns if report else ())
    ]
    return tuple(sorted(found, key=lambda repair: -repair.gain))


def fixed_on_the_way(graph: Graph, node: Node) -> tuple[Fixed, ...]:
    """Each pattern of the held-out failures, the largest first, on the way to one pipeline."""
    steps: dict[str, list[Repair]] = {}
    for each in graph.way_to(node):
        for repair in repairs(graph, each):
            steps.setdefault(repair.pattern, []).append(repair)
    found = [_fixed(pattern, taken) for pattern, taken in steps.items()]
    return tuple(sorted(found, key=lambda fixed: -fixed.total))


def settled_on(run: Run, graph: Graph) -> Node | None:
    """The pipeline the run ended with; while it goes on, or without one, the best so far."""
    if isinstance(run.state, Promoted):
        return graph.made(run.state.candidate_id)
    return max(graph.nodes.values(), key=lambda node: node.standing, default=None)


def _fixed(pattern: str, taken: Sequence[Repair]) -> Fixed:
    changed = tuple(step for step in taken if step.gain)
    return Fixed(pattern, taken[-1].total, taken[0].before, taken[-1].after, changed)


def _right(node: Node) -> Mapping[str, int]:
    report = node.best.report if node.best else None
    return {one.pattern: one.right_after for one in report.patterns} if report else {}
