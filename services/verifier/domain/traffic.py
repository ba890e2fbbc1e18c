"""What a candidate would change on the whole traffic, estimated from the sets it was asked on.

Held-out failures and guarded passes are drawn at different rates, and the passes are few beside
those they stand for: one broken pass of twelve weighs more than four repaired failures of thirty.
"""

from math import sqrt
from statistics import NormalDist

from shared.domain.evaluation import SetReport, TrafficGain

# What retraining usually does, as rows seen before: it repairs half of the failures, and breaks one
# of a hundred rows that were right. A set in which nothing broke does not show that nothing will.
_REPAIRED = (1.0, 2.0)
_BROKEN = (0.3, 30.0)


def traffic_gain(
    heldout: SetReport, guarded: list[SetReport], *, failure_share: float, assurance: float
) -> TrafficGain:
    """Change of accuracy on traffic (-1 to 1), and what it is at least with ``assurance``.

    ``failure_share`` is the deployed model's share of failures in traffic. Repairs are counted on
    all rows that were wrong before, breaks on all that were right.
    """
    sets = [heldout, *guarded]
    right = sum(s.right_before for s in sets)
    broken = sum(s.regressions for s in sets)
    repaired = sum(s.right_after - s.right_before + s.regressions for s in sets)
    fixed, fixed_variance = _rate(repaired, sum(s.total for s in sets) - right, _REPAIRED)
    lost, lost_variance = _rate(broken, right, _BROKEN)
    mean = failure_share * fixed - (1 - failure_share) * lost
    spread = sqrt(failure_share**2 * fixed_variance + (1 - failure_share) ** 2 * lost_variance)
    at_least = mean - NormalDist().inv_cdf(assurance) * spread
    return TrafficGain(mean, at_least, spread, failure_share)


def _rate(count: int, total: int, usual: tuple[float, float]) -> tuple[float, float]:
    """Posterior mean and variance of a rate; ``usual``: how many of how many rows are imagined."""
    rows = total + usual[1]
    mean = (count + usual[0]) / rows
    return mean, mean * (1 - mean) / (rows + 1)
