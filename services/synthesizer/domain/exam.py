"""The locked set E = positives ∪ negatives ∪ boundary pairs, built before training (paper §2.5).

Positives are ordinary rows, labels in turn. Negatives look like another label: their nearest row
has another answer. Boundary pairs are two rows that are near each other and have two answers.
Nothing that resembles a row of E is left to learn from.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from services.synthesizer.domain.boundary import boundary_of
from shared.domain.ids import derive_id
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates, normalise
from shared.domain.rows import EvalPart, EvalRow, Row
from shared.errors import BadInput

POSITIVE, NEGATIVE, PAIR = "positive", "negative", "boundary pair"
DUPLICATE = "duplicate text"
LEAK = "near-duplicate of a row of the locked set"
# Fewer discordant pairs have no p below 0.05 in McNemar's exact test, which the gate asks.
FEWEST_TELLING = 6
# Beyond so many rows the nearest ones are looked for in a sample.
_MOST_COMPARED = 6_000

Sort = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ExamSpec:
    """E is ``share`` of all rows, ``least`` to ``most``, but each label once goes first.

    ``negatives`` and ``pairs`` are their parts of it, where the rows have as many; no label gives
    more than half of what it has.
    """

    share: float = 0.2
    least: int = 40
    most: int = 300
    negatives: float = 0.2
    pairs: float = 0.2
    seed: int = 17

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.most < 1:
            raise ValueError(f"share={self.share}, most={self.most}: give 0 to 1, and at least 1")
        if min(self.negatives, self.pairs) < 0 or self.negatives + self.pairs > 1:
            raise ValueError(
                f"negatives={self.negatives}, pairs={self.pairs}: parts of a whole, 0 to 1"
            )


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What may be learned and what is only measured, each by id; ``dropped`` counts by reason."""

    material: tuple[Row, ...]
    exam: tuple[EvalRow, ...]
    dropped: dict[str, int]

    @property
    def parts(self) -> dict[str, int]:
        """How many rows of E are of each part."""
        return dict(sorted(Counter(row.pattern for row in self.exam).items()))


def hold_out(
    rows: Iterable[Row],
    *,
    sort: Sort,
    spec: ExamSpec,
    test: Iterable[Row] = (),
    same: Callable[[str], str] = normalise,
) -> HeldOut:
    """E and what is left, the same for equal rows in any order.

    ``sort`` names what answers are balanced by. E is drawn from ``test`` where there is one, else
    from the rows. Their texts have one answer each.
    """
    given = list(rows)
    distinct, asked = _distinct(given, same), _distinct(test, same)
    draft = _Draft(asked or distinct, sort, spec, whole=bool(asked))
    draft.fill(round(spec.share * len(distinct)))
    near = NearDuplicateIndex(row.text for row in draft.exam)
    leaks = near.match_each([row.text for row in distinct])
    chosen = {row.id for row in draft.exam}
    material = [row for row, leak in zip(distinct, leaks, strict=True) if not leak]
    twins = sum(leak and row.id not in chosen for row, leak in zip(distinct, leaks, strict=True))
    dropped = {DUPLICATE: len(given) - len(distinct), LEAK: twins}
    return HeldOut(
        material=tuple(material),
        exam=tuple(sorted(draft.exam, key=lambda row: row.id)),
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def check_exam(exam: Sequence[EvalRow]) -> None:
    """Raise BadInput where even a model without a fault could not be told from chance."""
    counts = Counter(row.target for row in exam)
    telling = len(exam) - max(counts.values(), default=0)
    if telling < FEWEST_TELLING:
        raise BadInput(
            f"the locked set has {len(exam)} rows, {telling} of them of another answer than the "
            f"commonest: with fewer than {FEWEST_TELLING} nothing shows that a model is better "
            "than chance, give more rows"
        )


class _Draft:
    """E while it is chosen, by groups of near-duplicates: one row of each answer of a group."""

    def __init__(self, rows: Sequence[Row], sort: Sort, spec: ExamSpec, *, whole: bool) -> None:
        """``whole``: all rows may go into E, none of them is needed to learn from."""
        self._rows, self._spec = rows, spec
        self._sorts = [sort(row.target) for row in rows]
        self._group = group_near_duplicates([row.text for row in rows])
        self._members: dict[int, list[int]] = defaultdict(list)
        for at, group in enumerate(self._group):
            self._members[group].append(at)
        held = Counter(s for group in self._members for s in self._sorts_of(group))
        self._room = Counter({s: n if whole else max(1, n // 2) for s, n in held.items()})
        self._taken: set[int] = set()
        self._covered: set[str] = set()
        self.exam: list[EvalRow] = []

    def fill(self, wanted: int) -> None:
        """About ``wanted`` rows, within the spec; each label once comes first."""
        size = min(max(wanted, self._spec.least), self._spec.most)
        size = max(size, len(self._room))
        orders = self._orders()
        order = list(_in_turn(orders))
        for at in chain(*orders):
            if not self._covers(self._sorts[at]):
                self._take([at], POSITIVE, len(self._rows))
        self._add_hard(size)
        for at in order:
            self._take([at], POSITIVE, size)

    def _add_hard(self, size: int) -> None:
        some = self._compared()
        near = boundary_of([self._rows[at].text for at in some], [self._sorts[at] for at in some])
        pairs = [(some[low], some[high]) for low, high in near.pairs()]
        until = len(self.exam) + round(self._spec.pairs * size)
        for pair in _each_border_in_turn(pairs, self._sorts):
            self._take(list(pair), PAIR, min(until, size))
        until = len(self.exam) + round(self._spec.negatives * size)
        hardest = np.argsort(-near.hardness.round(5), kind="stable")
        for at in (int(found) for found in hardest if near.hardness[found] > 0):
            self._take([some[at]], NEGATIVE, min(until, size))

    def _take(self, rows: Sequence[int], part: str, until: int) -> None:
        groups = {self._group[at] for at in rows}
        found = [at for group in groups for at in self._one_of_each(group, rows)]
        need = Counter(s for group in groups for s in self._sorts_of(group))
        if groups & self._taken or len(self.exam) + len(found) > until:
            return
        if any(self._room[s] < count for s, count in need.items()):
            return
        self._taken |= groups
        self._covered |= set(need)
        self._room.subtract(need)
        # Near-duplicates with several answers are a boundary pair, whatever they were taken for.
        part = PAIR if len(found) > len(groups) else part
        for at in sorted(found):
            row = self._rows[at]
            self.exam.append(
                EvalRow(
                    row.id, row.text, row.target, EvalPart.HELDOUT, False, pattern=part, locked=True
                )
            )

    def _one_of_each(self, group: int, wanted: Sequence[int]) -> Iterator[int]:
        """One row of each answer of a group; those that are wanted before others."""
        seen: set[str] = set()
        for at in sorted(self._members[group], key=lambda at: (at not in wanted, at)):
            if self._rows[at].target not in seen:
                seen.add(self._rows[at].target)
                yield at

    def _sorts_of(self, group: int) -> set[str]:
        return {self._sorts[at] for at in self._members[group]}

    def _covers(self, sort: str) -> bool:
        return sort in self._covered

    def _orders(self) -> list[list[int]]:
        """Rows of each sort, seeded; the rarest sort first."""
        of_sort: dict[str, list[int]] = defaultdict(list)
        for at in sorted(range(len(self._rows)), key=self._seeded):
            of_sort[self._sorts[at]].append(at)
        return [of_sort[s] for s in sorted(of_sort, key=lambda s: (len(of_sort[s]), s))]

    def _compared(self) -> list[int]:
        order = sorted(range(len(self._rows)), key=self._seeded)
        return sorted(order[:_MOST_COMPARED])

    def _seeded(self, at: int) -> str:
        return derive_id(self._spec.seed, self._rows[at].id)


def _distinct(rows: Iterable[Row], same: Callable[[str], str]) -> list[Row]:
    """The first by id of each text."""
    first: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row.id):
        first.setdefault(same(row.text), row)
    return list(first.values())


def _in_turn(orders: Sequence[Sequence[int]]) -> Iterator[int]:
    for turn in zip_longest(*orders):
        yield from (at for at in turn if at is not None)


def _each_border_in_turn(
    pairs: Sequence[tuple[int, int]], sorts: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """The nearest pair of each two sorts, then each one's second, and so on."""
    of_border: dict[frozenset[str], list[tuple[int, int]]] = defaultdict(list)
    for low, high in pairs:
        of_border[frozenset((sorts[low], sorts[high]))].append((low, high))
    for turn in zip_longest(*of_border.values()):
        yield from (pair for pair in turn if pair is not None)
