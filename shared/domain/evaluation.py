"""Scores of a candidate beside its parent, and the verdict a gate gives."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from shared.domain.entity_errors import Hits


@dataclass(frozen=True, slots=True)
class SetReport:
    """One evaluation set: counts, and the ids that were right before and are wrong now."""

    name: str
    total: int
    right_before: int
    right_after: int
    regressed: tuple[str, ...]

    @property
    def regressions(self) -> int:
        return len(self.regressed)


@dataclass(frozen=True, slots=True)
class TrafficGain:
    """Estimated change of accuracy on the whole traffic, and its lower bound, both -1 to 1.

    ``error`` is the standard error of the estimate; ``failing`` the share of traffic that the
    deployed model gets wrong, 0 where that is not known.
    """

    mean: float
    at_least: float
    error: float = 0.0
    failing: float = 0.0


@dataclass(frozen=True, slots=True)
class PatternReport:
    """The held-out failures of one error pattern: how many there are, and are right."""

    pattern: str
    total: int
    right_before: int
    right_after: int


@dataclass(frozen=True, slots=True)
class TypeReport:
    """What a candidate names of one type, of all rows that the run asks."""

    type: str
    hits: Hits


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """All sets of one candidate.

    ``heldout`` are failures nothing was trained on, ``regression`` passing traffic, ``earlier`` the
    evaluation sets of every earlier checkpoint. ``mcnemar_p`` is exact and two-sided over all rows.
    ``traffic`` is None where the sets do not say which part of traffic they stand for. ``patterns``
    divides ``heldout``; empty where the rows do not say which pattern they belong to. ``on_loan``:
    more passes that only tell what traffic would lose; they have no limit of their own. ``types``:
    of a task whose answers name spans, what is found of each type on all of these but ``earlier``.
    """

    candidate: str
    heldout: SetReport
    regression: SetReport
    earlier: tuple[SetReport, ...]
    mcnemar_p: float
    warnings: tuple[str, ...] = ()
    traffic: TrafficGain | None = None
    patterns: tuple[PatternReport, ...] = ()
    on_loan: SetReport | None = None
    types: tuple[TypeReport, ...] = ()

    @property
    def score(self) -> float:
        """a(π): share of the held-out failures that are right now."""
        return self.heldout.right_after / self.heldout.total if self.heldout.total else 0.0

    @property
    def score_before(self) -> float:
        return self.heldout.right_before / self.heldout.total if self.heldout.total else 0.0

    @property
    def regressions(self) -> int:
        """r(π; R) of the worst set: each set must keep to ε by itself (paper §2.6 step 7)."""
        return max(s.regressions for s in (self.regression, *self.earlier))


# However rarely a model is right, three quarters of what it does right stay.
_MOST_BROKEN = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate must keep to; ``epsilon``: most right-before-wrong-now rows (paper §1).

    ``broken_per_repaired``: requests that may break for each that is repaired, of a model that
    fails more than half of its traffic, where that is more: what such a model does right is often
    right by luck. ``assurance``: with which probability, 0.5 to 1, accuracy on the traffic must
    have risen.
    """

    epsilon: int = 2
    target: float = 0.96
    assurance: float = 0.8
    broken_per_repaired: float = 0.1

    def broken(self, report: EvaluationReport) -> tuple[str, ...]:
        """Names of the sets that lost more than they may, each by itself (paper §2.6 step 7)."""
        # Held-out failures the deployed model answers right by now must not be lost either.
        sets = (report.regression, *report.earlier, report.heldout)
        return tuple(s.name for s in sets if s.regressions > self.most(s, report))

    def most(self, of: SetReport, report: EvaluationReport) -> int:
        """ε of one of a report's sets: rows that were right before and may be wrong now."""
        failing = report.traffic.failing if report.traffic else 0.0
        if failing <= 0.5 or failing >= 1:
            return self.epsilon
        repaired = failing * (report.score - report.score_before)
        share = min(self.broken_per_repaired * repaired / (1 - failing), _MOST_BROKEN)
        return max(self.epsilon, int(share * of.right_before))


@dataclass(frozen=True, slots=True)
class Admitted:
    """Within ε on every set and better on the held-out failures: may be promoted."""

    report: EvaluationReport
    kind: Literal["admitted"] = "admitted"


@dataclass(frozen=True, slots=True)
class Regressed:
    """Breaks more than ε of what was right on at least one set."""

    report: EvaluationReport
    sets: tuple[str, ...]
    kind: Literal["regressed"] = "regressed"


@dataclass(frozen=True, slots=True)
class NotBetter:
    """Keeps what was right, but does not show that traffic as a whole got better."""

    report: EvaluationReport
    kind: Literal["not_better"] = "not_better"


@dataclass(frozen=True, slots=True)
class Unusable:
    """Could not be evaluated: the reason says why (for example a corrupt adapter file)."""

    candidate: str
    reason: str
    kind: Literal["unusable"] = "unusable"


# Discriminated: read back without it, a stored NotBetter would be Admitted (the same fields).
Verdict = Annotated[Admitted | Regressed | NotBetter | Unusable, Field(discriminator="kind")]
