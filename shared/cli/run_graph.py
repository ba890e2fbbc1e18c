"""A run's graph of pipelines as SVG: iterations from left to right, one box for each training.

Trainings only point to earlier iterations, so their iteration is their layer: no layout engine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from xml.sax.saxutils import escape

from services.controller.domain.changes import composed, in_words
from services.controller.domain.graph import Graph, Node, read_graph
from services.controller.domain.outcome import IterationOutcome
from services.controller.domain.repairs import settled_on
from services.controller.domain.run import Run
from services.controller.domain.states import Iterating

BOX, GAP = 264, 72
LINE, PAD = 15, 10
LETTERS = 42
ROOT = "deployed"
BOLD = ' font-weight="bold"'
# Outline and fill by the gate's verdict of the best form.
COLOURS = {
    "admitted": ("#2e7d32", "#eaf6ea"),
    "regressed": ("#c62828", "#fdecea"),
    "not_better": ("#b26a00", "#fff5e0"),
    "unusable": ("#616161", "#eeeeee"),
    ROOT: ("#1f4e8c", "#e8f0fa"),
}


@dataclass(frozen=True, slots=True)
class _Box:
    """A node as it is drawn; ``title`` shows when one points at it."""

    name: str
    lines: tuple[str, ...]
    kind: str
    title: str
    left: float
    top: float

    @property
    def height(self) -> float:
        return 2 * PAD + LINE * len(self.lines)

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def draw(run: Run) -> str:
    """The SVG. The thick box is what the run ended with, thick lines the way there."""
    graph = read_graph(run)
    heads = [_head(run, outcome) for outcome in run.iterations]
    below = PAD * 3 + LINE * (max((len(head) for head in heads), default=1) + 2)
    boxes = {box.name: box for box in _boxes(run, graph, below)}
    end = settled_on(run, graph)
    way = {node.name for node in graph.way_to(end)} if end else set[str]()
    width = max(box.left for box in boxes.values()) + BOX + PAD
    lanes = _lanes(graph, boxes)
    bottom = max([*lanes.values(), *(box.top + box.height for box in boxes.values())])
    height = bottom + 2 * PAD + 2 * LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        _text(PAD, PAD + LINE, [_title(run)], bold=1),
    ]
    for at, head in enumerate(heads, 1):
        parts.append(_text(_left(at), PAD + 3 * LINE, head, bold=1))
    parts += [
        line for node in graph.nodes.values() for line in _edges(node, boxes, graph, way, lanes)
    ]
    last = end.name if end else ""
    parts += [_drawn(box, thick=box.name == last) for box in boxes.values()]
    parts.append(_text(PAD, height - PAD, [_legend()]))
    return "\n".join([*parts, "</svg>", ""])


def _title(run: Run) -> str:
    state = run.state
    said = "under way" if isinstance(state, Iterating) else state.kind.replace("_", " ")
    return f"run {run.id[:8]} of {run.model}: {said}, {state.reason}"


def _legend() -> str:
    return (
        "green: admitted · red: regressed · amber: not better · grey: unusable or untrained · "
        "dashed: also made from"
    )


def _head(run: Run, outcome: IterationOutcome) -> list[str]:
    move = outcome.move.value.replace("_", " ")
    data = f"data {outcome.training_set.sha256[:8]}: {composed(outcome.data)}"
    return [
        f"iteration {outcome.iteration}: {move}",
        *wrap(outcome.reason, LETTERS)[:4],
        *wrap(data, LETTERS)[:3],
    ]


def _boxes(run: Run, graph: Graph, top: float) -> Iterator[_Box]:
    served = run.deployed.version
    what = f"version {served.number}, deployed" if run.deployed.trained else "nothing deployed"
    lines = (what, f"base {served.base_model}"[:LETTERS])
    yield _Box(ROOT, lines, ROOT, f"adapter {served.adapter.sha256}", _left(0), top)
    next_top = dict.fromkeys((outcome.iteration for outcome in run.iterations), top)
    for node in graph.nodes.values():
        at = node.outcome.iteration
        box = _box(node, graph, _left(at), next_top[at])
        next_top[at] += box.height + 2 * LINE
        yield box


def _box(node: Node, graph: Graph, left: float, top: float) -> _Box:
    best, parent = node.best, graph.main_parent(node)
    report = best.report if best else None
    scored = f"score {report.score:.3f}, r = {report.regressions}" if report else "not evaluated"
    if best and (share := best.candidate.recipe.strategy.blended):
        scored += f", blended {share:.0%}"
    changed = in_words(parent, node) if parent else "first recipe"
    lines = (
        f"{node.name}  {scored}",
        *wrap(node.recipe.name, LETTERS)[:2],
        *(
            f"Δ {line}" if not at else line
            for at, line in enumerate(wrap(changed, LETTERS - 2)[:3])
        ),
    )
    kind = best.verdict.kind if best else "unusable"
    title = f"π {node.digest}\n{best.reason if best else 'no candidate'}"
    return _Box(node.name, lines, kind, title, left, top)


def _edges(
    node: Node, boxes: dict[str, _Box], graph: Graph, way: set[str], lanes: dict[str, float]
) -> Iterator[str]:
    main = graph.main_parent(node)
    for name in node.parents or (ROOT,):
        first = main is None or name == main.name
        width = 3 if node.name in way and first else 1.2
        dash = "" if first else ' stroke-dasharray="4 3"'
        changed = "" if name == ROOT else in_words(graph.nodes[name], node)
        told = escape(f"{node.move.value.replace('_', ' ')}: {changed}\n{node.outcome.reason}")
        yield (
            f'<path d="{_path(boxes[name], boxes[node.name], lanes)}" fill="none" '
            f'stroke="#777777" stroke-width="{width}"{dash}><title>{told}</title></path>'
        )


def _path(start: _Box, end: _Box, lanes: dict[str, float]) -> str:
    """A curve to the next layer; further on, along the lane of its start below all boxes."""
    x, y, to, bend = start.left + BOX, start.middle, end.left, GAP * 0.6
    curve = f"M{x:g} {y:g} C{x + bend:g} {y:g} "
    if to - x <= GAP:
        return f"{curve}{to - bend:g} {end.middle:g} {to:g} {end.middle:g}"
    lane, turn, back = lanes[start.name], x + GAP, to - GAP
    return (
        f"{curve}{x + GAP - bend:g} {lane:g} {turn:g} {lane:g} L{back:g} {lane:g} "
        f"C{back + bend:g} {lane:g} {to - bend:g} {end.middle:g} {to:g} {end.middle:g}"
    )


def _lanes(graph: Graph, boxes: dict[str, _Box]) -> dict[str, float]:
    """For each box that a line leaves for more than the next layer, how far down it runs."""
    far = [
        name
        for node in graph.nodes.values()
        for name in node.parents or (ROOT,)
        if boxes[node.name].left - boxes[name].left > BOX + GAP
    ]
    bottom = max(box.top + box.height for box in boxes.values())
    return {name: bottom + LINE * at for at, name in enumerate(dict.fromkeys(far), 1)}


def _drawn(box: _Box, *, thick: bool) -> str:
    outline, fill = COLOURS[box.kind]
    return (
        f'<g><title>{escape(box.title)}</title><rect x="{box.left:g}" y="{box.top:g}" '
        f'width="{BOX}" height="{box.height:g}" rx="6" fill="{fill}" stroke="{outline}" '
        f'stroke-width="{4 if thick else 1.5}"/>'
        f"{_text(box.left + PAD, box.top + PAD + LINE - 4, box.lines, bold=1)}</g>"
    )


def _text(x: float, y: float, lines: list[str] | tuple[str, ...], *, bold: int = 0) -> str:
    """Lines of text from ``y`` down, the first ``bold`` of them bold."""
    spans = "".join(
        f'<tspan x="{x:g}" y="{y + LINE * at:g}"{BOLD if at < bold else ""}>{escape(line)}</tspan>'
        for at, line in enumerate(lines)
    )
    return f"<text>{spans}</text>"


def _left(layer: int) -> float:
    return PAD + layer * (BOX + GAP)
