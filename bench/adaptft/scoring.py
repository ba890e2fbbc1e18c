"""The task's measure on the union test set, and how well poison was found."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.adaptft.logs import LogRow, ScenarioData, never_corrected
from bench.adaptft.measures import measured
from bench.adaptft.poison import POISON

ALL_POISON = "poison"


@dataclass(frozen=True, slots=True)
class Scores:
    """The task's measure, 0 to 1; ``noisy`` over rows of changed text, ``clean`` over others."""

    overall: float
    noisy: float
    clean: float


@dataclass(frozen=True, slots=True)
class Found:
    """How well one family was found. ``rows`` carry it, ``hits`` of them were quarantined.

    ``false`` counts quarantined rows that are no poison at all, so a family's precision does not
    suffer from what was found of another.
    """

    family: str
    rows: int
    hits: int
    false: int

    @property
    def precision(self) -> float:
        return self.hits / (self.hits + self.false) if self.hits + self.false else 0.0

    @property
    def recall(self) -> float:
        return self.hits / self.rows if self.rows else 0.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def score(data: ScenarioData, outputs: Sequence[str]) -> Scores:
    """``outputs`` are in the order of ``data.test``."""
    pairs = [
        (row.noisy, (output, row.truth)) for row, output in zip(data.test, outputs, strict=True)
    ]
    return Scores(
        overall=measured(data.task, [pair for _, pair in pairs]),
        noisy=measured(data.task, [pair for noisy, pair in pairs if noisy]),
        clean=measured(data.task, [pair for noisy, pair in pairs if not noisy]),
    )


def found_poison(rows: Sequence[LogRow], quarantined: frozenset[str]) -> list[Found]:
    """All poison first, then each family that occurs; a row may carry several families.

    Rows that nobody corrected are not counted: without an answer no arm can learn from them.
    """
    false = sum(row.id in quarantined and not row.poison for row in rows)
    poison = [row for row in rows if row.poison and not never_corrected(row)]
    families = {ALL_POISON: poison} | {
        family: [row for row in poison if family in row.flags] for family in POISON
    }
    return [
        Found(family, len(members), sum(row.id in quarantined for row in members), false)
        for family, members in families.items()
        if members
    ]
