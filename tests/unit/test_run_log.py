"""A run's log and its picture say what was decided, what it was made of, and what it fixed."""

from collections.abc import Mapping
from dataclasses import replace
from xml.etree import ElementTree

from services.controller.domain.decision import Iterate, Promote
from services.controller.domain.graph import Graph, read_graph
from services.controller.domain.outcome import Judged
from services.controller.domain.policy import decide, settle
from services.controller.domain.repairs import fixed_on_the_way, repairs, settled_on
from services.controller.domain.run import Advanced, Run, close
from services.controller.domain.run_log import run_log
from services.controller.domain.states import Promoted
from shared.cli.run_graph import draw
from shared.domain.entity_errors import Hits
from shared.domain.evaluation import Admitted, PatternReport, TypeReport
from shared.domain.pipeline import Method
from shared.events import Composition, PatternSummary
from tests.unit.run_builders import LIMITS, START, Result, a_run, iterated, recorded
from tests.unit.test_search import AMPLE, STUCK, planned

NAMES = {"p1": "book as cancel", "p2": "greet <as> book"}
SIZES = {"p1": 60, "p2": 40}


def counted(run: Run, right: Mapping[Method, Mapping[str, int]]) -> Run:
    """The run with so many rows of each pattern right in its last iteration."""
    *before, last = run.iterations

    def divided(judged: Judged) -> Judged:
        if not isinstance(judged.verdict, Admitted):
            return judged
        now = right[judged.candidate.recipe.strategy.method]
        found = tuple(PatternReport(name, SIZES[name], 0, count) for name, count in now.items())
        return replace(judged, verdict=Admitted(replace(judged.verdict.report, patterns=found)))

    judged = tuple(divided(one) for one in last.judged)
    return replace(run, iterations=(*before, replace(last, judged=judged)))


def a_told_run() -> Run:
    """Two iterations: the first fixes one pattern, the second the other."""
    summaries = tuple(
        PatternSummary(id=id_, name=name, size=SIZES[id_], share=SIZES[id_] / 100)
        for id_, name in NAMES.items()
    )
    run = replace(a_run(), patterns=summaries)
    run = counted(
        recorded(run, Result(60), Result(55)),
        {Method.LORA: {"p1": 55, "p2": 5}, Method.FULL: {"p1": 50, "p2": 5}},
    )
    plan = decide(run, limits=LIMITS, budget=AMPLE, now=START)
    assert isinstance(plan, Iterate)
    return counted(
        recorded(iterated(run, plan), Result(88), Result(80)),
        {Method.LORA: {"p1": 53, "p2": 35}, Method.FULL: {"p1": 50, "p2": 30}},
    )


def ended(run: Run) -> Run:
    decision = settle(run, "all 2 iterations are used")
    assert isinstance(decision, Promote)
    ending = Promoted(decision.admission.candidate.id, 2, decision.reason, START)
    transition = close(run, ending)
    assert isinstance(transition, Advanced)
    return transition.run


def lines_of(run: Run, start: str) -> list[str]:
    return [line.strip() for line in run_log(run).splitlines() if line.strip().startswith(start)]


def test_each_decision_is_told_with_its_reason_and_its_data() -> None:
    run = a_told_run()
    for outcome in run.iterations:
        move = outcome.move.value.replace("_", " ")
        [told] = lines_of(run, f"iteration {outcome.iteration}, {move}")
        assert told.endswith(outcome.reason)
        assert outcome.reason
    shares = [f"gold {outcome.data.gold:.0%}" for outcome in run.iterations]
    assert all(share in line for share, line in zip(shares, lines_of(run, "data "), strict=True))


def test_how_a_training_set_came_out_is_told() -> None:
    run = a_told_run()
    came = Composition(rows=90, gold=50, hard=30, replay=10, labels=3, dropped={"too near": 4})
    last = replace(run.iterations[-1], composition=came)
    told = run_log(replace(run, iterations=(*run.iterations[:-1], last)))
    assert "90 rows of 3 labels: 50 gold, 30 hard, 10 replay (taken out: 4 too near" in told


def test_what_could_not_be_trained_is_told() -> None:
    run = a_told_run()
    failed = replace(run.iterations[0], failed={"c": "lora: out of memory"})
    told = run_log(replace(run, iterations=(failed, *run.iterations[1:])))
    assert "could not be trained: lora: out of memory" in told


def test_scores_are_told_beside_what_they_were_made_from() -> None:
    [first, *_] = lines_of(a_told_run(), "changed of 1.1")
    assert "score +0.280" in first
    assert "size 1500 → 2250" in first


def test_precision_and_recall_of_each_type_are_told() -> None:
    run = a_told_run()
    (judged, *others), types = run.iterations[0].judged, (TypeReport("PER", Hits(3, 4, 6)),)
    assert judged.report
    scored = replace(judged, verdict=Admitted(replace(judged.report, types=types)))
    first = replace(run.iterations[0], judged=(scored, *others))
    told = run_log(replace(run, iterations=(first, *run.iterations[1:])))
    assert "precision / recall by type: PER 0.75 / 0.50 (3 of 6)" in told


def test_each_pattern_is_credited_to_what_fixed_most_of_it() -> None:
    run = ended(a_told_run())
    told = run_log(run)
    assert "fixed: book as cancel 0 → 55 of 60; greet <as> book 0 → 5 of 40" in told
    assert "lost: book as cancel 55 → 53 of 60" in told
    assert "book as cancel: 0 → 53 of 60 right, most by 1.1 (first): +55 in 1.1, -2 in 2.1" in told
    assert (
        "greet <as> book: 0 → 35 of 40 right, most by 2.1 (rebuild data): +5 in 1.1, +30 in 2.1"
        in told
    )


def test_gains_on_the_way_add_up_to_what_the_end_has_right() -> None:
    run = ended(a_told_run())
    graph = read_graph(run)
    end = settled_on(run, graph)
    assert end
    for fixed in fixed_on_the_way(graph, end):
        assert fixed.before + sum(step.gain for step in fixed.steps) == fixed.after
    assert sum(repair.after for repair in repairs(graph, end)) == 88


def test_nothing_is_claimed_where_nobody_counted_by_pattern() -> None:
    run, _ = planned(*STUCK)
    told = run_log(run)
    assert "which intervention" not in told
    assert "fixed:" not in told


def test_a_run_under_way_names_what_is_trained_now() -> None:
    run, plan = planned(*STUCK)
    assert f"iteration 5 is under way, fuse: {plan.reason}" in run_log(iterated(run, plan))


def test_what_a_run_used_has_its_price_where_there_is_one() -> None:
    run = ended(a_told_run())
    seconds = sum(outcome.gpu_seconds for outcome in run.iterations)
    assert seconds > 0
    used = f"used: 4 trainings, {seconds:.0f} s of models"
    assert used in run_log(run).splitlines()
    cheap, dear = (run_log(replace(run, hour_price=price)) for price in (0.5, 3.6e6))
    assert f"{used}, which cost {seconds / 7200:.3g} at 0.5 an hour" in cheap.splitlines()
    assert f"{used}, which cost {seconds * 1000:.2f} at 3.6e+06 an hour" in dear.splitlines()


def test_the_picture_has_a_box_for_each_training_and_a_line_for_each_origin() -> None:
    run, plan = planned(*STUCK)
    run = recorded(iterated(run, plan), Result(90), Result(70, broken=9))
    root = ElementTree.fromstring(draw(ended(run)))
    graph = read_graph(run)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}g")) == len(graph.nodes) + 1
    assert len(root.findall(f"{space}path")) == _origins(graph)
    text = "".join(root.itertext())
    assert all(node.digest in text for node in graph.nodes.values())
    assert "score 0.900" in text


def test_text_from_outside_stays_text_in_the_picture() -> None:
    run = a_told_run()
    hostile = replace(run.iterations[0], reason="<script>alert(1)</script> & more")
    drawn = draw(replace(run, iterations=(hostile, *run.iterations[1:])))
    assert "<script" not in drawn
    ElementTree.fromstring(drawn)


def test_boxes_of_one_picture_do_not_overlap() -> None:
    run, _ = planned(*STUCK, (80, 79))
    rects = [
        tuple(float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        for box in ElementTree.fromstring(draw(run)).iter("{http://www.w3.org/2000/svg}rect")
        if "x" in box.attrib
    ]
    for at, (x, y, width, height) in enumerate(rects):
        for left, top, wide, high in rects[at + 1 :]:
            apart = x + width <= left or left + wide <= x or y + height <= top or top + high <= y
            assert apart


def _origins(graph: Graph) -> int:
    return sum(max(len(node.parents), 1) for node in graph.nodes.values())
