"""What a candidate would change on the whole traffic, estimated from the sets it was asked on.

Held-out failures and guarded passes are drawn at different rates, and the passes are few beside
those they stand for: one broken pass of twelve weighs more than four repaired failures of thirty.
"""

from math import sqrt
from statistics import NormalDist

from shared.domain.evaluation import SetReport, TrafficGain

# Jeffreys: a set in which nothing broke still does not show that nothing will.
_PRIOR = 0.5


def traffic_gain(
    heldout: SetReport, guarded: list[SetReport], *, failure_share: float, assurance: float
) -> TrafficGain:
    """Change of accuracy on traffic (-1 to 1), and what it is at least with ``assurance``.

    ``failure_share`` is the deployed model's share of failures in traffic. Repairs are counted on
    the held-out failures, breaks on everything guarded that was right before.
    """
    lost = heldout.right_before - heldout.right_after
    fixed, fixed_variance = _rate(max(-lost, 0), heldout.total - heldout.right_before)
    right = sum(s.right_before for s in guarded)
    broken, broken_variance = _rate(sum(s.regressions for s in guarded), right)
    mean = failure_share * fixed - (1 - failure_share) * broken
    spread = sqrt(failure_share**2 * fixed_variance + (1 - failure_share) ** 2 * broken_variance)
    return TrafficGain(mean, mean - NormalDist().inv_cdf(assurance) * spread)


def _rate(count: int, total: int) -> tuple[float, float]:
    """Posterior mean and variance of a rate."""
    mean = (count + _PRIOR) / (total + 2 * _PRIOR)
    return mean, mean * (1 - mean) / (total + 2 * _PRIOR + 1)
