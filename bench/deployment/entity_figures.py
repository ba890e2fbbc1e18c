"""What a deployment that names entities amounts to: the paper's figure beside the honest ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.deployment.story import Told
from bench.deployment.traffic import Deployment
from examples.demo.workload import text_key
from shared.domain.entity_errors import EntityScores
from shared.tasks.ner import scores


@dataclass(frozen=True, slots=True)
class Gold:
    """Answers to the test of a model trained on all ``rows``, and the seconds that took."""

    test: tuple[str, ...]
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class F1:
    """Entity scores before and after, rounded; precision and recall of each type after."""

    rows: int
    precision_before: float
    recall_before: float
    f1_before: float
    precision_after: float
    recall_after: float
    f1_after: float
    types_after: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class EntityFigures:
    """``log``: all requests, learned from or not, as the paper counts; ``unseen``: its requests
    that were never trained on; ``test`` was never served.

    ``gold_f1``: on the test, of plain fine-tuning on all ``gold_rows``. ``regressions``: passes of
    the gate that broke, None without a promotion.
    """

    log: F1
    unseen: F1
    test: F1
    gold_f1: float
    gold_rows: int
    gold_seconds: float
    of_gold: float
    failures_before: int
    failures_after: int
    trained_rows: int
    regressions: int | None


def entity_figures(deployment: Deployment, told: Told, gold: Gold) -> EntityFigures:
    """Equal stories give equal figures."""
    trained = {text_key(row.text) for row in told.trained}
    answered = list(
        zip(deployment.requests, told.before.requests, told.after.requests, strict=True)
    )
    log = [(r.truth, before, after) for r, before, after in answered]
    unseen = [(r.truth, b, a) for r, b, a in answered if text_key(r.text) not in trained]
    truths = [example.label for example in deployment.test]
    test = _f1(list(zip(truths, told.before.test, told.after.test, strict=True)))
    gold_f1 = scores(zip(gold.test, truths, strict=True)).overall.f1
    return EntityFigures(
        log=_f1(log),
        unseen=_f1(unseen),
        test=test,
        gold_f1=round(gold_f1, 4),
        gold_rows=gold.rows,
        gold_seconds=gold.seconds,
        of_gold=round(test.f1_after / gold_f1, 4) if gold_f1 else 0.0,
        failures_before=sum(before != truth for truth, before, _ in log),
        failures_after=sum(after != truth for truth, _, after in log),
        trained_rows=len(told.trained),
        regressions=told.report.regressions if told.report else None,
    )


def _f1(rows: Sequence[tuple[str, str, str]]) -> F1:
    """Of (truth, answer before, answer after)."""
    before: EntityScores = scores((b, truth) for truth, b, _ in rows)
    after: EntityScores = scores((a, truth) for truth, _, a in rows)
    return F1(
        rows=len(rows),
        precision_before=round(before.overall.precision, 4),
        recall_before=round(before.overall.recall, 4),
        f1_before=round(before.overall.f1, 4),
        precision_after=round(after.overall.precision, 4),
        recall_after=round(after.overall.recall, 4),
        f1_after=round(after.overall.f1, 4),
        types_after={
            name: (round(hits.precision, 4), round(hits.recall, 4))
            for name, hits in after.of_type.items()
        },
    )
