"""Repeated traffic: near-duplicates and retry storms count as evidence once (paper App. B)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from shared.domain.near_duplicates import group_near_duplicates, normalise

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# A client that was given no answer asks again at once; a person needs longer.
STORM_SECONDS = 10.0
_STORM_SIZE = 3


@dataclass(frozen=True, slots=True)
class Repetitions:
    """Arrays of n, aligned with the texts.

    ``group``: which texts say nearly the same, numbered by first appearance. ``representative``:
    the first of each group, which stands for it. ``storm``: sent again within seconds of the same
    text. ``stands_for``: the size of the text's group.
    """

    group: Ints
    representative: Bools
    storm: Bools
    stands_for: Ints


def collapse(
    texts: Sequence[str],
    occurred_at: Sequence[datetime | None] | None = None,
    *,
    storm_seconds: float = STORM_SECONDS,
) -> Repetitions:
    """Group near-duplicates and find retries; ``occurred_at`` may be absent or have gaps.

    The representative is the earliest of its group, then the first in order. A storm is at least
    three sendings of one text, each within ``storm_seconds`` of the one before; without times there
    are none. Raises ValueError when the lengths differ.
    """
    if occurred_at is not None and len(occurred_at) != len(texts):
        raise ValueError(f"{len(occurred_at)} times for {len(texts)} texts: one for each")
    group = np.array(group_near_duplicates(texts), np.int64)
    seconds = _seconds(occurred_at, len(texts))
    order = np.lexsort((np.arange(len(texts)), seconds, group))
    representative = np.zeros(len(texts), bool)
    representative[order[np.diff(group[order], prepend=-1) != 0]] = True
    return Repetitions(
        group,
        representative,
        _storms(texts, seconds, storm_seconds),
        np.bincount(group)[group] if len(group) else group,
    )


def _seconds(occurred_at: Sequence[datetime | None] | None, rows: int) -> npt.NDArray[np.float64]:
    """Unknown times sort last: infinity."""
    if occurred_at is None:
        return np.full(rows, np.inf)
    return np.array([np.inf if at is None else at.timestamp() for at in occurred_at])


def _storms(texts: Sequence[str], seconds: npt.NDArray[np.float64], within: float) -> Bools:
    storm = np.zeros(len(texts), bool)
    timed = np.flatnonzero(np.isfinite(seconds))
    numbers: dict[str, int] = {}
    same = np.array(
        [numbers.setdefault(normalise(texts[at]), len(numbers)) for at in timed.tolist()], int
    )
    order = np.lexsort((seconds[timed], same))
    at, same = timed[order], same[order]
    breaks = (np.diff(same) != 0) | (np.diff(seconds[at]) > within)
    for run in np.split(at, np.flatnonzero(breaks) + 1):
        storm[run] = len(run) >= _STORM_SIZE
    return storm
