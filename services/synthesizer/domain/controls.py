"""The curation controls of §2.3 that apply to classification: filters, and what they found."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np
import numpy.typing as npt

from shared.domain.near_duplicates import NearDuplicateIndex, normalise
from shared.domain.rows import TrainingRow

FAILURE = "failure"
SURFACES = 3
# Topping up rare labels may grow a set to this many times the rows aimed at, not further.
_GROWTH = 2


class HasText(Protocol):
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Checks:
    """How a training set keeps to the controls.

    ``label_ratio``: largest label over smallest; ``rare_labels`` are those below the limit because
    no row was left to take. ``uncontrasted``: failures without a similar row of another answer.
    ``length_distance``: Kolmogorov–Smirnov, 0 to 1, between the word counts of failing inputs and
    training inputs, whose quartiles follow. ``narrow_labels``: fewer than 3 surface patterns.
    """

    label_ratio: float
    rare_labels: tuple[str, ...]
    uncontrasted: tuple[str, ...]
    length_distance: float
    failing_lengths: tuple[float, ...]
    training_lengths: tuple[float, ...]
    narrow_labels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Balanced:
    """Rows in the order given, top-ups last; how many were capped and how many added."""

    rows: tuple[TrainingRow, ...]
    capped: int
    added: int


def leaks(rows: Sequence[HasText], evaluation_texts: Iterable[str]) -> list[bool]:
    """For each row whether it is a near-duplicate of a text that is or was evaluated."""
    return NearDuplicateIndex(evaluation_texts).match_each([row.text for row in rows])


def balance(
    rows: Sequence[TrainingRow],
    reserve: Sequence[TrainingRow],
    *,
    ratio: float,
    aim: int,
    protected: str = FAILURE,
) -> Balanced:
    """No label more than ``ratio`` times another, with about ``aim`` rows in all.

    ``rows`` stand in order of precedence, so capping a label drops its replay first, then its hard
    rows; rows whose source is ``protected`` must lead their label and always stay. Labels that are
    too small take rows from the reserve, in its order, as far as it goes.
    """
    of_label = _by_label(rows)
    spare = _by_label(reserve)
    labels = sorted({*of_label, *spare})
    size = {label: len(of_label[label]) for label in labels}
    fixed = {label: sum(r.source == protected for r in of_label[label]) for label in labels}
    within = {label: size[label] + len(spare[label]) for label in labels}
    cap = _cap(size, fixed, within, ratio, aim)
    kept = {id(row) for label in labels for row in of_label[label][: max(cap, fixed[label])]}
    stays = [row for row in rows if id(row) in kept]
    least = ceil(min(cap, max(size.values(), default=0)) / ratio)
    added = _top_up(Counter(r.target for r in stays), spare, least, _GROWTH * aim - len(stays))
    return Balanced((*stays, *added), len(rows) - len(stays), len(added))


def check(
    rows: Sequence[TrainingRow],
    failing_texts: Sequence[str],
    uncontrasted: Iterable[str],
    *,
    ratio: float,
) -> Checks:
    """Measure a finished training set; nothing is changed."""
    size = Counter(row.target for row in rows)
    largest, smallest = max(size.values(), default=1), min(size.values(), default=1)
    failing, training = _lengths(failing_texts), _lengths([row.text for row in rows])
    surfaces: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        surfaces[row.target].add(surface(row.text))
    return Checks(
        label_ratio=largest / smallest,
        rare_labels=tuple(sorted(label for label in size if size[label] * ratio < largest)),
        uncontrasted=tuple(sorted(uncontrasted)),
        length_distance=_distance(failing, training),
        failing_lengths=_quartiles(failing),
        training_lengths=_quartiles(training),
        narrow_labels={k: len(v) for k, v in sorted(surfaces.items()) if len(v) < SURFACES},
    )


def surface(text: str) -> str:
    """The form of an input, not its content: its first two words, and whether it asks."""
    return " ".join(normalise(text).split()[:2]) + ("?" if text.rstrip().endswith("?") else "")


def length_penalty(texts: Sequence[str], failing: Sequence[str]) -> npt.NDArray[np.float32]:
    """float32 [n]: 0 where the word count lies among the failing inputs', rising to 0.1 outside."""
    if not failing:
        return np.zeros(len(texts), np.float32)
    low, high = np.quantile(_lengths(failing), [0.1, 0.9])
    words = _lengths(texts)
    outside = np.maximum(np.maximum(low - words, words - high), 0)
    return (0.1 * np.minimum(outside / max(float(high), 1.0), 1)).astype(np.float32)


def _by_label(rows: Sequence[TrainingRow]) -> dict[str, list[TrainingRow]]:
    found: dict[str, list[TrainingRow]] = defaultdict(list)
    for row in rows:
        found[row.target].append(row)
    return found


def _cap(
    size: Mapping[str, int],
    fixed: Mapping[str, int],
    within: Mapping[str, int],
    ratio: float,
    aim: int,
) -> int:
    """The most rows a label may have: as many as keep the whole near ``aim`` after topping up."""
    lowest = max(1, *fixed.values()) if fixed else 1
    highest = max(lowest, *size.values()) if size else 1
    reachable = int(ratio * min(within.values(), default=0))
    # Rare labels hold the others down only while an even share of the aim still fits.
    if reachable >= max(lowest, ceil(aim / max(1, len(size)))):
        highest = min(highest, reachable)

    def rows_at(cap: int) -> int:
        least = ceil(cap / ratio)
        return sum(
            max(min(size[label], max(cap, fixed[label])), min(within[label], least))
            for label in size
        )

    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        lowest, highest = (middle, highest) if rows_at(middle) <= aim else (lowest, middle - 1)
    return lowest


def _top_up(
    size: Counter[str], spare: Mapping[str, list[TrainingRow]], least: int, room: int
) -> list[TrainingRow]:
    """Spare rows that lift labels to ``least``, one for each label in turn, at most ``room``."""
    added: list[TrainingRow] = []
    for turn in range(least):
        for label in sorted(spare):
            at = turn - size[label]
            if 0 <= at < len(spare[label]) and len(added) < room:
                added.append(spare[label][at])
    return added


def _lengths(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    return np.array([len(text.split()) for text in texts], np.float64)


def _quartiles(lengths: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(np.quantile(lengths, [0.25, 0.5, 0.75]).tolist()) if len(lengths) else ()


def _distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    if not len(a) or not len(b):
        return 0.0
    at = np.union1d(a, b)
    below = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())
