"""Scores a candidate's answers beside the deployed model's, set by set (paper §2.6 step 7)."""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.verifier.domain.power import mcnemar_p, power_warning
from services.verifier.domain.traffic import traffic_gain
from shared.domain.evaluation import (
    EvaluationReport,
    Limits,
    PatternReport,
    SetReport,
    TrafficGain,
)
from shared.domain.rows import EvalPart, EvalRow
from shared.errors import BadInput

Outputs = Mapping[str, str]
Judge = Callable[[str, str], bool]
# (row id, output, target) → whether the output is right, found out by more than comparing.
Grades = Mapping[tuple[str, str, str], bool]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class EvaluationSets:
    """``current``: the run's own set, all parts; ``earlier``: those of earlier checkpoints.

    Failures of an earlier set may have been trained on since: they must not be lost, but that they
    are right shows nothing of traffic. Passes that were on loan then are rows like others now.
    """

    current: Sequence[EvalRow]
    earlier: Mapping[str, Sequence[EvalRow]]

    def without(self, rows: Collection[str]) -> "EvaluationSets":
        """The sets but for the rows of these ids."""
        return EvaluationSets(
            [row for row in self.current if row.id not in rows],
            {
                name: [row for row in earlier if row.id not in rows]
                for name, earlier in self.earlier.items()
            },
        )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One row, answered before by the deployed model and now by the candidate."""

    row: EvalRow
    before: bool
    after: bool


def evaluate(
    candidate_id: str,
    sets: EvaluationSets,
    predictions: Outputs,
    before: Outputs | None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    is_right: Judge = operator.eq,
    grades: Grades | None = None,
) -> EvaluationReport:
    """Counts of every set; outputs are keyed by row id, ``is_right(output, target)`` is the judge.

    With ``grades`` they are the judge, and every answer must have one. ``before`` are the deployed
    model's outputs by the same code; a row it lacks counts as production recorded it. Raises
    BadInput naming the row the candidate did not answer, or whose answer has no grade.
    """
    answers = _Answers(candidate_id, predictions, before or {}, is_right, grades)
    parts = [
        answers.outcomes(part.value, [row for row in sets.current if row.part is part])
        for part in (EvalPart.HELDOUT, EvalPart.REGRESSION, EvalPart.ON_LOAN)
    ]
    older = {
        name: answers.outcomes(name, [row for row in rows if row.part is not EvalPart.ON_LOAN])
        for name, rows in sets.earlier.items()
    }
    unseen = {name: [o for o in outcomes if o.row.guarded] for name, outcomes in older.items()}
    heldout = _count(EvalPart.HELDOUT.value, parts[0])
    regression = _count(EvalPart.REGRESSION.value, parts[1])
    on_loan = _count(EvalPart.ON_LOAN.value, parts[2])
    earlier = tuple(_count(name, outcomes) for name, outcomes in older.items())
    return EvaluationReport(
        candidate=candidate_id,
        heldout=heldout,
        regression=regression,
        earlier=earlier,
        mcnemar_p=_p_value([*parts, *unseen.values()]),
        warnings=_warnings(heldout, (regression, *earlier), limits),
        traffic=_traffic(
            sets.current,
            heldout,
            [regression, on_loan, *(_count(name, rows) for name, rows in unseen.items())],
            limits,
        ),
        patterns=tuple(_by_pattern(parts[0])),
        on_loan=on_loan if on_loan.total else None,
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the candidate answers now and the deployed model before, with their judge."""

    candidate_id: str
    after: Outputs
    before: Outputs
    is_right: Judge
    grades: Grades | None

    def outcomes(self, name: str, rows: Sequence[EvalRow]) -> list[_Outcome]:
        return [_Outcome(row, self._right_before(row), self._right_now(name, row)) for row in rows]

    def _right_before(self, row: EvalRow) -> bool:
        # Production may have recorded another version, or another random draw: fresh answers win.
        if row.id in self.before:
            return self._right(self.before[row.id], row)
        return row.right_before

    def _right_now(self, name: str, row: EvalRow) -> bool:
        if row.id not in self.after:
            raise BadInput(
                f"candidate {self.candidate_id!r} has no prediction for row {row.id!r} of set "
                f"{name!r}: evaluate it again on every row"
            )
        return self._right(self.after[row.id], row)

    def _right(self, output: str, row: EvalRow) -> bool:
        if self.grades is None:
            return self.is_right(output, row.target)
        known = self.grades.get((row.id, output, row.target))
        if known is None:
            raise BadInput(
                f"the answer {output[:60]!r} to row {row.id!r} was not graded: evaluate "
                f"{self.candidate_id!r} again"
            )
        return known


def _count(name: str, outcomes: Sequence[_Outcome]) -> SetReport:
    return SetReport(
        name=name,
        total=len(outcomes),
        right_before=sum(o.before for o in outcomes),
        right_after=sum(o.after for o in outcomes),
        regressed=tuple(o.row.id for o in outcomes if o.before and not o.after),
    )


def _by_pattern(outcomes: Sequence[_Outcome]) -> Iterator[PatternReport]:
    names = dict.fromkeys(o.row.pattern for o in outcomes if o.row.pattern)
    for name in names:
        own = [o for o in outcomes if o.row.pattern == name]
        yield PatternReport(name, len(own), sum(o.before for o in own), sum(o.after for o in own))


def _traffic(
    current: Sequence[EvalRow], heldout: SetReport, guarded: list[SetReport], limits: Limits
) -> TrafficGain | None:
    failed = sum(row.weight for row in current if row.part is EvalPart.HELDOUT)
    passed = sum(row.weight for row in current if row.part is not EvalPart.HELDOUT)
    if not failed or not passed:
        return None
    share = failed / (failed + passed)
    return traffic_gain(heldout, guarded, failure_share=share, assurance=limits.assurance)


def _p_value(sets: Sequence[Sequence[_Outcome]]) -> float:
    # A row in several sets is one observation: counted twice it would fake significance.
    distinct = {(o.row.id, o.row.target): o for outcomes in sets for o in outcomes}.values()
    broken = sum(o.before and not o.after for o in distinct)
    repaired = sum(o.after and not o.before for o in distinct)
    return mcnemar_p(broken, repaired)


def _warnings(heldout: SetReport, guarded: Sequence[SetReport], limits: Limits) -> tuple[str, ...]:
    found = [power_warning(s.name, s.right_before, epsilon=limits.epsilon) for s in guarded]
    if heldout.total == 0:
        found.append("no held-out failures: nothing can show that a candidate is better")
    return tuple(warning for warning in found if warning)
