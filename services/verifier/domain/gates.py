"""The gate: what may be promoted, and why the rest may not (paper §1, §2.6 step 7, §2.7)."""

from services.verifier.domain.first import LOCKED
from shared.domain.evaluation import (
    Admitted,
    EvaluationReport,
    Limits,
    NotBetter,
    Regressed,
    SetReport,
    Unusable,
    Verdict,
)


def judge(report: EvaluationReport, limits: Limits) -> Verdict:
    """Admitted only within ε on each set by itself, and better than before.

    Better: more held-out failures are right, and so is traffic as a whole, as far as can be told.
    """
    broken = limits.broken(report)
    if broken:
        return Regressed(report, broken)
    if report.heldout.right_after <= report.heldout.right_before:
        return NotBetter(report)
    if report.traffic and report.traffic.at_least <= 0:
        return NotBetter(report)
    return Admitted(report)


def explain(verdict: Verdict) -> str:
    """The verdict in one plain sentence with its counts."""
    match verdict:
        case Admitted(report) | NotBetter(report) if report.heldout.name == LOCKED:
            return f"{verdict.kind.replace('_', ' ')}: {_of_chance(report)}"
        case Admitted(report):
            return f"admitted: {_repaired(report)} and {_broken(_worst(report))}"
        case NotBetter(report):
            return f"not better: {_repaired(report)}; {_broken(_worst(report))}{_traffic(report)}"
        case Regressed(report, names):
            broken = " and ".join(_broken(s) for s in _sets(report) if s.name in names)
            return f"regressed: {broken}; {_repaired(report)}"
        case Unusable(_, reason):
            return f"unusable: {reason}"


def _of_chance(report: EvaluationReport) -> str:
    locked = report.heldout
    return (
        f"{locked.right_after} of {locked.total} rows of the locked set are right, "
        f"{locked.right_before} by giving all of them the commonest answer"
    )


def _sets(report: EvaluationReport) -> tuple[SetReport, ...]:
    return (report.regression, *report.earlier, report.heldout)


def _worst(report: EvaluationReport) -> SetReport:
    return max(_sets(report), key=lambda s: s.regressions)


def _repaired(report: EvaluationReport) -> str:
    heldout = report.heldout
    return (
        f"{heldout.right_after} of {heldout.total} held-out failures are right now "
        f"({heldout.right_before} before)"
    )


def _traffic(report: EvaluationReport) -> str:
    gain = report.traffic
    if gain is None:
        return ""
    return (
        f"; accuracy on traffic would change by {100 * gain.mean:+.1f} points, "
        f"but perhaps only by {100 * gain.at_least:+.1f}"
    )


def _broken(report: SetReport) -> str:
    return (
        f"{report.regressions} of {report.right_before} rows that were right in set "
        f"{report.name!r} are wrong now"
    )
