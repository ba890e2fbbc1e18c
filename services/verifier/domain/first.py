"""The gate of a model's first version: nothing is deployed that it could break (paper §2.5).

It is compared with chance, which is to give every input the commonest answer of the locked set.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from shared.domain.evaluation import Admitted, EvaluationReport, NotBetter
from shared.domain.rows import EvalRow

LOCKED = "locked"
# A lucky constant must not be promoted.
_SURE = 0.05


def commonest_answers(rows: Sequence[EvalRow]) -> dict[str, str]:
    """By row id the answer that most rows have; of equally common ones the first by name."""
    counts = Counter(row.target for row in rows)
    if not counts:
        return {}
    answer = min(counts, key=lambda target: (-counts[target], target))
    return {row.id: answer for row in rows}


def as_first(report: EvaluationReport) -> EvaluationReport:
    """The report of a first version: right before is what chance gets, and nothing can regress.

    Warnings of sets too small to see a drop say nothing here.
    """
    heldout = replace(report.heldout, name=LOCKED, regressed=())
    return replace(report, heldout=heldout, warnings=())


def judge_first(report: EvaluationReport) -> Admitted | NotBetter:
    """Admitted when more is right than by chance, as McNemar's test tells with p < 0.05."""
    better = report.heldout.right_after > report.heldout.right_before
    return Admitted(report) if better and report.mcnemar_p < _SURE else NotBetter(report)
