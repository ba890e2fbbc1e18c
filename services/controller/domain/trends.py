"""Which changes of hyperparameters helped so far in a run."""

from collections.abc import Iterator, Sequence
from math import log, sqrt

from services.controller.domain.graph import Graph, Node
from services.controller.domain.moves import Step
from shared.domain.pipeline import Method

# Change of learning rate, epochs and rank, each as a logarithm.
Direction = tuple[float, float, float]


def by_gain(graph: Graph, method: Method, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps in the direction of what helped a method first, of what hurt last.

    Measured gains are only used to order what is then really trained. Without any the order stays.
    """
    seen = list(_changes(graph, method))

    def gain(step: Step) -> float:
        direction = (log(step.rate), log(step.epochs), log(step.rank))
        return sum(earned * _cosine(direction, changed) for changed, earned in seen)

    return tuple(sorted(steps, key=gain, reverse=True))


def _changes(graph: Graph, method: Method) -> Iterator[tuple[Direction, float]]:
    """Each change of H on unchanged data, and what it gained."""
    for node in graph.nodes.values():
        for parent in (graph.nodes[name] for name in node.parents):
            alike = parent.method is node.method and parent.data == node.data
            if alike and node.method is method and node.evaluated and parent.evaluated:
                yield _direction(parent, node), graph.earns(node) - graph.earns(parent)


def _direction(before: Node, after: Node) -> Direction:
    was, now = before.recipe.hyperparameters, after.recipe.hyperparameters
    return (
        log(now.learning_rate / was.learning_rate),
        log(now.epochs / was.epochs),
        log(now.lora_rank / was.lora_rank),
    )


def _cosine(one: Direction, other: Direction) -> float:
    length = sqrt(sum(x * x for x in one) * sum(x * x for x in other))
    return sum(a * b for a, b in zip(one, other, strict=True)) / length if length else 0.0
