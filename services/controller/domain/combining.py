"""Answers to stagnation: a different approach, or several good ones in one (paper §2.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from math import prod

from services.controller.domain.decision import Move
from services.controller.domain.graph import Graph, Node
from services.controller.domain.moves import KEEPING, TUNING
from services.controller.domain.outcome import IterationOutcome
from services.controller.domain.proposals import DATA_PROBLEM, Material, Proposal, Way
from shared.domain.pipeline import DataSpec, Hyperparameters, Method, Recipe, Strategy


def fused(best: IterationOutcome, material: Material, *, top: int) -> Iterator[Proposal]:
    """The top pipelines of different branches in one: their mean D and H, the union of their S.

    Nothing when there are fewer than two branches. The size of D is that of ``best``.
    """
    leaders = branches(material.graph)[:top]
    if len(leaders) < 2:
        return
    leads = material.leads(best)
    names = tuple(node.name for node in leaders)
    ways = tuple(
        Way(_fused(method, leaders, leads.get(method), material), names)
        for method in material.recipes.methods
    )
    reason = f"{best.in_words} is not exceeded: {' and '.join(names)} in one"
    yield Proposal(Move.FUSE, _mean_data(best.data, leaders), ways, reason)


def branches(graph: Graph) -> list[Node]:
    """Where branches end that may be expanded, the best first: none was made from another."""
    passed = {name for node in graph.open for name in graph.ancestors(node.name)}
    ends = [node for node in graph.open if node.name not in passed]
    return sorted(ends, key=lambda node: node.standing, reverse=True)


def evolved(best: IterationOutcome, material: Material, *, turn: int) -> Iterator[Proposal]:
    """Another approach that keeps what worked: D of the same size, S, or a larger base.

    The cheapest goes first, each later ``turn`` begins with the next one. A middling score is no
    data problem: then S goes before D (paper §2.4, §5.2.3).
    """
    rungs = [list(_composed(best, material)), [_taught(best, material)]]
    if best.score >= DATA_PROBLEM:
        rungs.reverse()
    rungs.append(list(_larger_base(best, material)))
    first = turn % len(rungs)
    yield from chain(*rungs[first:], *rungs[:first])


def _composed(best: IterationOutcome, material: Material) -> Iterator[Proposal]:
    grid, data = material.data, best.data
    found = [
        (grid.towards_gold(data), "more gold in as many rows"),
        (grid.towards_hard_and_replay(data), "more hard negatives and replay in as many rows"),
    ]
    ways = material.around(material.leads(best), KEEPING)
    for other, what in reversed(found) if best.breaks_too_much else found:
        if other != data:
            yield Proposal(Move.EVOLVE, other, ways, f"{best.in_words} is not exceeded: {what}")


def _taught(best: IterationOutcome, material: Material) -> Proposal:
    leads = material.leads(best)

    def way(method: Method) -> Way:
        lead = leads.get(method)
        recipe = lead.recipe if lead else material.recipes.first(material.base_model, method)
        others = _other_strategies(recipe, material)
        nearby = (r for other in others for r in material.recipes.around(other, TUNING))
        return Way((*others, *nearby), (lead.name,) if lead else ())

    reason = f"{best.in_words} is not exceeded: hold the data, learn in another way"
    ways = tuple(way(method) for method in material.recipes.methods)
    return Proposal(Move.EVOLVE, best.data, ways, reason)


def _other_strategies(recipe: Recipe, material: Material) -> list[Recipe]:
    recipe = recipe.training
    kind = recipe.strategy
    strategy = Strategy(kind.method, supervision=kind.supervision, four_bit=kind.four_bit)
    plain = replace(recipe, strategy=strategy)
    kept = material.recipes.kept(recipe)
    averaged = material.recipes.kept(recipe, orders=recipe.strategy.orders + 1)
    return [other for other in (kept, averaged, plain) if other != recipe]


def _larger_base(best: IterationOutcome, material: Material) -> Iterator[Proposal]:
    """The last and dearest remedy (paper §5.2.3): the next larger of the bases that are known."""
    leads = material.leads(best)
    used = {node.recipe.hyperparameters.base_model for node in leads.values()}
    bases = material.recipes.bases
    at = max((bases.index(base) for base in used if base in bases), default=-1)
    for base in bases[at + 1 :]:
        firsts = {
            method: material.recipes.first(base, method, rows=best.data.size)
            for method in material.recipes.methods
        }
        ways = tuple(
            Way(
                (first, *material.recipes.around(first, TUNING)),
                (leads[method].name,) if method in leads else (),
            )
            for method, first in firsts.items()
        )
        reason = f"{best.in_words} is not exceeded: a larger base model, {base}"
        yield Proposal(Move.EVOLVE, best.data, ways, reason)


def _fused(
    method: Method, leaders: Sequence[Node], lead: Node | None, material: Material
) -> tuple[Recipe, ...]:
    own = [node.recipe for node in leaders if node.method is method]
    own = own or [lead.recipe if lead else material.recipes.first(material.base_model, method)]
    # Bases do not mix: those on the best one's count.
    base = own[0].hyperparameters.base_model
    alike = [r.hyperparameters for r in own if r.hyperparameters.base_model == base]
    shared = Recipe(_mean(alike), _union(method, [node.recipe.strategy for node in leaders]))
    return (shared, *material.recipes.around(shared, TUNING))


def _mean(found: Sequence[Hyperparameters]) -> Hyperparameters:
    def mean(values: Sequence[float]) -> float:
        return prod(values) ** (1 / len(values))

    return replace(
        found[0],
        learning_rate=float(f"{mean([h.learning_rate for h in found]):.3g}"),
        epochs=round(mean([h.epochs for h in found])),
        lora_rank=round(mean([h.lora_rank for h in found])),
    )


def _union(method: Method, found: Sequence[Strategy]) -> Strategy:
    """All that any of them does to keep what was right."""
    return Strategy(
        method,
        congruence=max(strategy.congruence for strategy in found),
        averaged=max(strategy.averaged for strategy in found),
        orders=max(strategy.orders for strategy in found),
        supervision=found[0].supervision,
        four_bit=method is Method.LORA and any(strategy.four_bit for strategy in found),
    )


def _mean_data(best: DataSpec, leaders: Sequence[Node]) -> DataSpec:
    specs = [node.data for node in leaders]
    hard = round(sum(spec.hard for spec in specs) / len(specs), 4)
    gold = round(sum(spec.gold for spec in specs) / len(specs), 4)
    return replace(best, hard=hard, gold=gold, replay=round(1 - hard - gold, 4) + 0.0)
