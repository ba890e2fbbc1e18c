"""Which rows of the pool stand near the failures, and in which order they are worth taking."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from math import ceil

import numpy as np

from services.synthesizer.domain.controls import length_penalty
from services.synthesizer.domain.hard_negatives import (
    NONE,
    Positions,
    correct_examples,
    hard_negatives,
)
from services.synthesizer.domain.material import Material
from shared.domain.rows import Role

# A position in the pool, what it is taken as, and why.
Pick = tuple[int, Role, str]

# Only a contrast among the nearest few counts as "similar input, different answer" (§2.3).
_CLOSE = 8
_MOST = 64


class Neighbourhood:
    """Nearest rows of every failure; failures of the weakest labels come first."""

    def __init__(self, material: Material, wanted: int) -> None:
        self._material = material
        searched = material.pool[: len(material.pool_vectors)]
        texts = [row.text for row in material.failures]
        rows = (material.failures, material.failure_vectors, searched, material.pool_vectors)
        penalty = length_penalty([row.text for row in searched], texts)
        count = min(max(_CLOSE, ceil(2 * wanted / max(1, len(texts)))), _MOST)
        self._support = correct_examples(*rows, count=count, penalty=penalty)
        self._contrast = hard_negatives(*rows, count=count, penalty=penalty)
        self._weakest = _weakest_first(material)

    def support(self, by_label: Mapping[str, Sequence[int]]) -> Iterator[Pick]:
        """Right rows of the failing labels: nearest ones, then ``by_label``'s, labels in turn."""
        for failure, at in _in_rounds(self._support, self._weakest):
            yield self._near(failure, at, Role.GOLD)
        labels = dict.fromkeys(self._material.failures[at].target for at in self._weakest)
        turns = zip_longest(*(by_label.get(label, ()) for label in labels))
        for at in (at for turn in turns for at in turn if at is not None):
            yield at, Role.GOLD, f"right {self._material.pool[at].target}, a label that fails"

    def contrast(self, taken: Collection[int]) -> Iterator[Pick]:
        """First one contrast for each failure that has none ``taken`` yet, then further ones."""
        for failure in self._weakest:
            close = self._contrast[failure, :_CLOSE].tolist()
            if close and close[0] != NONE and not any(at in taken for at in close):
                yield self._near(failure, close[0], Role.HARD)
        for failure, at in _in_rounds(self._contrast, self._weakest):
            yield self._near(failure, at, Role.HARD)

    def surgical(self, pattern: str) -> Iterator[Pick]:
        """Support and contrast by turns, the most typical members of the pattern first (§2.4)."""
        material = self._material
        members = np.flatnonzero([row.pattern == pattern for row in material.failures])
        vectors = material.failure_vectors[members]
        typical = np.argsort(-(vectors @ vectors.mean(axis=0)).round(6), kind="stable")
        order = members[typical].tolist()
        support = [(*pair, Role.GOLD) for pair in _in_rounds(self._support, order)]
        contrast = [(*pair, Role.HARD) for pair in _in_rounds(self._contrast, order)]
        for pick in filter(None, chain(*zip_longest(support, contrast))):
            at, role, reason = self._near(*pick)
            yield at, role, f"surgical for pattern {pattern}: {reason}"

    def uncontrasted(self, present: Collection[int]) -> list[str]:
        """Ids of failures of which no close contrast is among the pool rows present."""
        return [
            row.id
            for row, close in zip(self._material.failures, self._contrast[:, :_CLOSE], strict=True)
            if not any(at in present for at in close.tolist())
        ]

    def _near(self, failure: int, at: int, role: Role) -> Pick:
        row, near = self._material.failures[failure], self._material.pool[at]
        reason = f"nearest {near.target} to trace {row.id}"
        return at, role, f"{reason}, which is {row.target}" if role is Role.HARD else reason


def _in_rounds(nearest: Positions, order: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(failure, position): each failure's nearest row, then each one's second nearest, …"""
    for rank in range(nearest.shape[1]):
        for failure in order:
            if (at := int(nearest[failure, rank])) != NONE:
                yield failure, at


def _weakest_first(material: Material) -> list[int]:
    """Failures by the failing share of their label's traffic, highest first; then by id."""
    failed = Counter(row.target for row in material.failures)
    right = Counter(row.target for row in material.pool[: material.passes])
    share = {label: failed[label] / (failed[label] + right[label]) for label in failed}
    failures = material.failures
    return sorted(
        range(len(failures)),
        key=lambda at: (-share[failures[at].target], failures[at].target, failures[at].id),
    )
