"""What the sets can show at all: exact significance, and the drop a gate is blind to."""

from math import comb, exp, inf, lgamma, log, log1p

TOLERABLE_DROP = 0.05
POWER = 0.80


def mcnemar_p(broken: int, repaired: int) -> float:
    """Exact two-sided McNemar p-value of the discordant counts; 1.0 when there are none."""
    discordant = broken + repaired
    tail = sum(comb(discordant, k) for k in range(min(broken, repaired) + 1))
    return min(1.0, 2 * tail / 2**discordant)


def pass_probability(rows: int, drop: float, *, epsilon: int) -> float:
    """P(at most ε flips among ``rows``) when each right row flips with probability ``drop``."""
    if rows <= epsilon or drop <= 0:
        return 1.0
    if drop >= 1:
        return 0.0
    return min(1.0, sum(exp(_log_binomial(rows, k, drop)) for k in range(epsilon + 1)))


def smallest_detectable_drop(rows: int, *, epsilon: int, power: float = POWER) -> float:
    """The smallest true share of newly broken rows that the gate refuses with this probability.

    ``rows`` are rows that were right before. ``inf`` when they cannot exceed ε at all.
    """
    if rows <= epsilon:
        return inf
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if pass_probability(rows, middle, epsilon=epsilon) > 1 - power:
            low = middle
        else:
            high = middle
    return high


def rows_needed(drop: float, *, epsilon: int, power: float = POWER) -> int:
    """How many right-before rows make the gate refuse a true ``drop`` with this probability."""
    if not 0 < drop < 1:
        raise ValueError(f"drop={drop}: must lie between 0 and 1")

    def blind(rows: int) -> bool:
        return pass_probability(rows, drop, epsilon=epsilon) > 1 - power

    high = epsilon + 1
    while blind(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if blind(middle) else (low, middle)
    return high


def power_warning(
    set_name: str, rows: int, *, epsilon: int, tolerable: float = TOLERABLE_DROP
) -> str | None:
    """A sentence when a drop worse than ``tolerable`` could pass the gate unseen, else None."""
    drop = smallest_detectable_drop(rows, epsilon=epsilon)
    if drop <= tolerable:
        return None
    needed = rows_needed(tolerable, epsilon=epsilon)
    blind = (
        f"{epsilon} may break, so no drop at all can be seen"
        if drop == inf
        else f"a true drop of {drop:.1%} would pass the gate with {1 - POWER:.0%} probability"
    )
    return (
        f"set {set_name!r} has {rows} rows that were right before: {blind}; "
        f"{needed} such rows would show a drop of {tolerable:.0%}"
    )


def _log_binomial(rows: int, flips: int, drop: float) -> float:
    ways = lgamma(rows + 1) - lgamma(flips + 1) - lgamma(rows - flips + 1)
    return ways + flips * log(drop) + (rows - flips) * log1p(-drop)
