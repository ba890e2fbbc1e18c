"""A run as people read it: every decision with its data, its scores and its reason."""

from collections.abc import Iterator, Mapping, Sequence

from services.controller.domain.budget import Budget, spent
from services.controller.domain.changes import composed, in_words
from services.controller.domain.graph import Graph, Node, read_graph
from services.controller.domain.outcome import IterationOutcome
from services.controller.domain.repairs import Fixed, fixed_on_the_way, repairs, settled_on
from services.controller.domain.run import Run
from services.controller.domain.states import Iterating
from shared.domain.evaluation import TypeReport

_MOST = 8


def run_log(run: Run) -> str:
    """The whole run, from its diagnosis to its end; equal runs give equal text."""
    graph = read_graph(run)
    names = {pattern.id: pattern.name for pattern in run.patterns if pattern.id}
    parts = [_opening(run)]
    for outcome in run.iterations:
        parts.append([*_asked(outcome), *_trained(outcome, graph, names)])
    parts.append(_ending(run))
    parts.append(list(_fixes(run, graph, names)))
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _opening(run: Run) -> list[str]:
    lines = [
        f"run {run.id} of model {run.model}, begun {run.started_at:%Y-%m-%d %H:%M:%S %Z}",
        *(_parent(run) if run.deployed.trained else _cold(run)),
    ]
    if run.patterns:
        lines.append(f"error patterns, the first {_MOST} of {len(run.patterns)}:")
        lines += [
            f"  {p.name}: {p.size} failures ({p.share:.0%}), {p.cause.value.replace('_', ' ')}, "
            f"{p.standing.value}"
            for p in run.patterns[:_MOST]
        ]
    if run.remedies:
        lines.append("remedies, cheapest first:")
        lines += [
            f"  {r.kind.value.replace('_', ' ')} for {r.failures}: {r.reason}" for r in run.remedies
        ]
    return lines


def _parent(run: Run) -> list[str]:
    served = run.deployed.version
    return [
        f"deployed: version {served.number}, adapter {served.adapter.sha256[:8]}, "
        f"trained on {served.training_set.sha256[:8] if served.training_set else 'an unknown set'}",
        f"diagnosis {run.diagnosis.sha256[:8]}, evaluation set {run.evaluation_set.sha256[:8]}",
    ]


def _cold(run: Run) -> list[str]:
    origin = f", from {run.target_from}" if run.target_from else ""
    return [
        f"cold start from {run.deployed.version.base_model}: nothing is deployed",
        f"material {run.diagnosis.sha256[:8]} of {run.material} rows{_taken_out(run.dropped)}, "
        f"locked set {run.evaluation_set.sha256[:8]}, target {run.target or 0:g}{origin}",
    ]


def _asked(outcome: IterationOutcome) -> Iterator[str]:
    move = outcome.move.value.replace("_", " ")
    yield f"iteration {outcome.iteration}, {move}: {outcome.reason or 'no reason was kept'}"
    yield f"  data {outcome.training_set.sha256[:8]}, asked for {composed(outcome.data)}"
    if (came := outcome.composition) is not None:
        yield (
            f"    came out as {came.rows} rows of {came.labels} labels: {came.gold} gold, "
            f"{came.hard} hard, {came.replay} replay" + _taken_out(came.dropped)
        )


def _taken_out(dropped: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
    return f" (taken out: {told})" if told else ""


def _trained(outcome: IterationOutcome, graph: Graph, names: Mapping[str, str]) -> Iterator[str]:
    nodes = [n for n in graph.nodes.values() if n.outcome.iteration == outcome.iteration]
    for node in nodes:
        yield from _node(node, graph, names)
    for judged in outcome.judged:
        if judged.candidate.calibrated:
            score = f"score {judged.report.score:.3f}, " if judged.report else ""
            yield f"  {judged.candidate.name}: {score}{judged.reason}"
    for reason in outcome.failed.values():
        yield f"  could not be trained: {reason}"
    yield f"  models took {outcome.gpu_seconds:.0f} s; verified {outcome.verified_at:%H:%M:%S}"


def _node(node: Node, graph: Graph, names: Mapping[str, str]) -> Iterator[str]:
    made_from = f"made from {' and '.join(node.parents)}" if node.parents else "a first recipe"
    yield f"  {node.name}  {node.recipe.name}, π {node.digest[:8]}, {made_from}"
    parent = graph.main_parent(node)
    if parent is not None:
        gained = f", score {node.score - parent.score:+.3f}" if node.evaluated else ""
        yield f"       changed of {parent.name}: {in_words(parent, node)}{gained}"
    for judged in node.judged:
        share = judged.candidate.recipe.strategy.blended
        form = f"blended with {share:.0%} of the deployed weights, " if share else ""
        score = f"score {judged.report.score:.3f}, " if judged.report else ""
        yield f"       {form}{score}{judged.reason}"
        if judged.report and judged.report.types:
            yield f"         {_types(judged.report.types)}"
        warnings = judged.report.warnings if judged.report else ()
        yield from (f"         warning: {warning}" for warning in warnings)
    yield from _repaired(node, graph, names)


def _types(types: Sequence[TypeReport]) -> str:
    """Precision and recall of the types there are most of."""
    most = sorted(types, key=lambda t: (-t.hits.right, t.type))[:_MOST]
    told = ", ".join(
        f"{t.type} {t.hits.precision:.2f} / {t.hits.recall:.2f} ({t.hits.hit} of {t.hits.right})"
        for t in most
    )
    rest = f", and {len(types) - _MOST} types more" if len(types) > _MOST else ""
    return f"precision / recall by type: {told}{rest}"


def _repaired(node: Node, graph: Graph, names: Mapping[str, str]) -> Iterator[str]:
    found = repairs(graph, node)
    better = [r for r in found if r.gain > 0]
    worse = [r for r in reversed(found) if r.gain < 0]
    for what, changed in (("fixed", better), ("lost", worse)):
        if changed:
            told = "; ".join(
                f"{names.get(r.pattern, r.pattern)} {r.before} → {r.after} of {r.total}"
                for r in changed[:_MOST]
            )
            rest = f"; and of {len(changed) - _MOST} more" if len(changed) > _MOST else ""
            yield f"       {what}: {told}{rest}"


def _ending(run: Run) -> list[str]:
    used = spent(run, Budget(hour_price=run.hour_price))
    what = f"{used.trainings} trainings, {used.gpu_seconds:.0f} s of models"
    if run.hour_price:
        money = f"{used.money:.2f}" if used.money >= 10 else f"{used.money:.3g}"
        what += f", which cost {money} at {run.hour_price:g} an hour"
    if isinstance(run.state, Iterating):
        asked = run.state
        return [
            f"iteration {asked.iteration} is under way, {asked.move.value.replace('_', ' ')}: "
            f"{asked.reason}",
            f"so far: {what}",
        ]
    return [f"ended as {run.state.kind.replace('_', ' ')}: {run.state.reason}", f"used: {what}"]


def _fixes(run: Run, graph: Graph, names: Mapping[str, str]) -> Iterator[str]:
    node = settled_on(run, graph)
    found = fixed_on_the_way(graph, node) if node else ()
    if node is None or not found:
        return
    way = " → ".join(each.name for each in graph.way_to(node))
    yield f"which intervention fixed which pattern, on held-out failures, by {way}:"
    yield from (_fix(fixed, names) for fixed in found)


def _fix(fixed: Fixed, names: Mapping[str, str]) -> str:
    head = f"  {names.get(fixed.pattern, fixed.pattern)}: "
    head += f"{fixed.before} → {fixed.after} of {fixed.total} right"
    if fixed.by is None:
        return f"{head}, by nothing"
    move = fixed.by.node.move.value.replace("_", " ")
    steps = ", ".join(f"{step.gain:+d} in {step.node.name}" for step in fixed.steps)
    return f"{head}, most by {fixed.by.node.name} ({move}): {steps}"
