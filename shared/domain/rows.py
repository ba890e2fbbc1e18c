"""Rows of data sets, and how they travel: JSON lines, one row a line."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from shared.errors import BadInput


class Role(StrEnum):
    """Why a row is in a training set (paper §2.6 step 5)."""

    GOLD = "gold"
    HARD = "hard"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Row:
    """An input and its right output; ``id`` is the trace it came from.

    ``rationale`` is the reasoning that leads to the output, where somebody wrote it. ``place``:
    file:line of a row that a person gave, for when it must be mended.
    """

    id: str
    text: str
    target: str
    rationale: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A failure to repair: what was answered, what was right, which pattern it belongs to."""

    id: str
    text: str
    target: str
    output: str
    pattern: str


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A row of a training set, with its role, its source and the reason it was taken."""

    id: str
    text: str
    target: str
    role: Role
    source: str
    reason: str
    rationale: str = ""
    place: str = field(default="", compare=False)


# The source of a noisy form of another training row.
TWIN = "twin"


@dataclass(frozen=True, slots=True)
class LearnedRow:
    """A row that a deployed model was trained on; ``source`` is empty where nobody said it."""

    id: str
    text: str
    target: str
    source: str = ""
    rationale: str = ""


class EvalPart(StrEnum):
    """What a row of an evaluation set is there for.

    Held-out failures and passes on loan are measured, then learned; regression passes never are.
    """

    HELDOUT = "heldout"
    REGRESSION = "regression"
    ON_LOAN = "on_loan"


@dataclass(frozen=True, slots=True)
class EvalRow:
    """A row of an evaluation set. ``right_before`` is what production recorded of the parent.

    ``weight``: how many traces it stands for; 0 when that is not known. ``pattern``: the id of the
    error pattern a failure belongs to; empty for passes. ``locked``: no run may ever learn it, held
    out as it is.
    """

    id: str
    text: str
    target: str
    part: EvalPart
    right_before: bool
    weight: float = 0.0
    pattern: str = ""
    locked: bool = False

    @property
    def guarded(self) -> bool:
        """Whether it stays untouched for good."""
        return self.locked or self.part is EvalPart.REGRESSION


def released(rows: Iterable[EvalRow]) -> list[Row]:
    """Rows of an earlier gate which a later run may learn from: it has fresh ones.

    The regression set stays guarded for good, so that no version can forget it unnoticed.
    """
    return [Row(row.id, row.text, row.target) for row in rows if not row.guarded]


def guarded(rows: Iterable[EvalRow]) -> list[EvalRow]:
    """Rows of an earlier gate that stay untouched."""
    return [row for row in rows if row.guarded]


_MAY_LACK = ("rationale", "place")
AnyRow = TypeVar("AnyRow", Row, FailureRow, TrainingRow, LearnedRow, EvalRow)


def dump_rows(rows: Iterable[AnyRow]) -> bytes:
    """JSON lines, in the order given; equal rows give equal bytes."""
    return b"".join(
        json.dumps(_told(row), ensure_ascii=False, sort_keys=True).encode() + b"\n" for row in rows
    )


def _told(row: AnyRow) -> dict[str, object]:
    # Left out where there is none: a set from before there were any keeps its digest.
    return {k: v for k, v in asdict(row).items() if k not in _MAY_LACK or v}


def load_rows(data: bytes, kind: type[AnyRow]) -> list[AnyRow]:
    """Rows of one kind. Raises BadInput naming the line that does not fit."""
    adapter = TypeAdapter(kind)
    rows: list[AnyRow] = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            rows.append(adapter.validate_json(line))
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            where = ".".join(map(str, wrong["loc"]))
            said = f"{where}: {wrong['msg']}" if where else wrong["msg"]
            raise BadInput(f"line {number} is not a {kind.__name__}: {said}") from None
    return rows


def load_learned(data: bytes) -> list[Row]:
    """What a deployed model learned from, but for noisy twins: they say nothing of their own.

    A twin of a twin would drift from what users write. Raises BadInput as ``load_rows``.
    """
    rows = load_rows(data, LearnedRow)
    return [Row(r.id, r.text, r.target, r.rationale) for r in rows if r.source != TWIN]
