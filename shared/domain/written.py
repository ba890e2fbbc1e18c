"""Rows that a chat model wrote: which of them may be used (paper §2.3, §2.6 steps 3 and 5)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Protocol, TypeVar

from pydantic import AfterValidator

from shared.domain.chat import Answer, tidy
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates

MAX_WORDS = 60
# No written input is longer; the limit in words is what usually decides.
_MAX_SIGNS = 2_000

EMPTY = "without words"
LENGTH = "too long"
LABEL = "label not asked for"
LEAK = "near-duplicate of an evaluation row"
KNOWN = "near-duplicate of a known row"
REPEAT = "near-duplicate of another written row"


class WrittenRow(Answer):
    """An input as a user might write it, and its right label."""

    text: Annotated[str, AfterValidator(lambda text: tidy(text, _MAX_SIGNS))]
    label: str


class Written(Protocol):
    """A row with an input and the label it was asked for."""

    @property
    def text(self) -> str: ...

    @property
    def label(self) -> str: ...


R = TypeVar("R", bound=Written)


@dataclass(frozen=True, slots=True)
class Accepted(Generic[R]):
    """Rows to use, in the order written, and how many were refused for which reason."""

    rows: tuple[R, ...]
    refused: dict[str, int]


def accept_written(
    rows: Sequence[R],
    *,
    labels: Collection[str],
    evaluation_texts: Iterable[str],
    known_texts: Iterable[str] = (),
    max_words: int = MAX_WORDS,
) -> Accepted[R]:
    """Rows that say something new with an allowed label, and that nothing is measured on.

    The first of several near-duplicates stays.
    """
    texts = [row.text for row in rows]
    measured = NearDuplicateIndex(evaluation_texts).match_each(texts)
    known = NearDuplicateIndex(known_texts).match_each(texts)
    groups = group_near_duplicates(texts)
    kept: list[R] = []
    refused: dict[str, int] = {}
    used: set[int] = set()
    for at, row in enumerate(rows):
        faults = {
            EMPTY: not any(sign.isalnum() for sign in row.text),
            LENGTH: len(row.text.split()) > max_words,
            LABEL: row.label not in labels,
            LEAK: measured[at],
            KNOWN: known[at],
            REPEAT: groups[at] in used,
        }
        if fault := next((reason for reason, found in faults.items() if found), None):
            refused[fault] = refused.get(fault, 0) + 1
        else:
            used.add(groups[at])
            kept.append(row)
    return Accepted(tuple(kept), refused)
