"""Seed rows that a chat model writes from a description alone (paper §2.5).

Its word is checked twice: each row in form, like all written material, and each answer by asking
for it again without saying which one was meant. How rows are asked for is each family's own.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.domain.chat import Question
from shared.domain.row_files import PlacedRow
from shared.domain.written import accept_written

UNCONFIRMED = "answer not confirmed when asked again"
# How many of the rows written already a question shows.
SHOWN = 12
Refused = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SeedRow:
    """An input, the sort of rows it is counted under, and its right answer."""

    text: str
    label: str
    target: str


class SeedWriter(Protocol):
    """How a chat model writes rows of one family, of each sort as many, and how it is checked."""

    @property
    def sorts(self) -> tuple[str, ...]: ...

    def question(self, sort: str, known: Sequence[str], *, count: int, turn: int) -> Question[Any]:
        """Which inputs are of this sort? Another ``turn`` is another question."""
        ...

    def read(self, sort: str, answer: Any) -> tuple[Sequence[SeedRow], Refused]:
        """The rows of an answer, and why the others are none."""
        ...

    def reading(self, rows: Sequence[SeedRow]) -> Question[Any]:
        """What is the right answer to each of these inputs?"""
        ...

    def agrees(self, rows: Sequence[SeedRow], answer: Any) -> Sequence[bool]:
        """Whether each row's answer was given again; nothing where it does not fit the rows."""
        ...

    def placed(self, row: SeedRow, place: str) -> PlacedRow:
        """The row, as if its owner had written it."""
        ...


@dataclass(frozen=True, slots=True)
class Seeds:
    """Rows that were accepted, by sort, and how many were refused for which reason."""

    rows: Mapping[str, tuple[SeedRow, ...]]
    refused: Refused

    def missing(self, count: int) -> dict[str, int]:
        """How many rows each sort still needs to have ``count``."""
        return {sort: count - len(rows) for sort, rows in self.rows.items() if len(rows) < count}

    def placed(self, writer: SeedWriter) -> tuple[PlacedRow, ...]:
        """All rows, as if their owner had written them."""
        return tuple(
            writer.placed(row, f"written {sort}:{n}")
            for sort, rows in self.rows.items()
            for n, row in enumerate(rows, 1)
        )


def well_formed(
    writer: SeedWriter, sort: str, answer: Any | None, seeds: Seeds
) -> tuple[tuple[SeedRow, ...], Refused]:
    """Rows that say something new and are of the sort asked for, and why the others do not."""
    if answer is None:
        return (), {}
    rows, refused = writer.read(sort, answer)
    known = [row.text for written in seeds.rows.values() for row in written]
    found = accept_written(rows, labels=(sort,), evaluation_texts=(), known_texts=known)
    return found.rows, Counter(refused) + Counter(found.refused)


def confirmed(
    writer: SeedWriter, rows: Sequence[SeedRow], answer: Any | None
) -> tuple[tuple[SeedRow, ...], Refused]:
    """Rows whose answer was given again; none where the reading does not fit the rows."""
    agreed = () if answer is None else writer.agrees(rows, answer)
    if len(agreed) != len(rows):
        return (), {UNCONFIRMED: len(rows)} if rows else {}
    kept = tuple(row for row, agrees in zip(rows, agreed, strict=True) if agrees)
    lost = len(rows) - len(kept)
    return kept, {UNCONFIRMED: lost} if lost else {}


def grown(seeds: Seeds, sort: str, rows: Sequence[SeedRow], refused: Sequence[Refused]) -> Seeds:
    """With these rows more of one sort, none that another sort has by now."""
    taken = [row.text for known in seeds.rows.values() for row in known]
    found = accept_written(rows, labels=(sort,), evaluation_texts=(), known_texts=taken)
    counts = Counter(seeds.refused)
    for each in (*refused, found.refused):
        counts.update(each)
    more = {sort: (*seeds.rows[sort], *found.rows)}
    return Seeds({**seeds.rows, **more}, dict(sorted(counts.items())))
