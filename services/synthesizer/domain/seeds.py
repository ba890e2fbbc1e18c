"""Seed rows that a chat model writes from a description alone (paper §2.5).

Its word is checked twice: each row in form, like all written material, and each label by asking for
it again without saying which one was meant.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.domain.chat import Answer, Prompt, Question, Remark, tidy
from shared.domain.row_files import PlacedRow, labelled
from shared.domain.written import MAX_WORDS, WrittenRow, accept_written

UNCONFIRMED = "label not confirmed when asked again"
_MOST_LABELS = 50
_SHOWN = 12

Name = Annotated[str, AfterValidator(lambda text: tidy(text, 60))]


class NamedLabel(Answer):
    """A label and what belongs under it."""

    name: Name
    meaning: Remark


class LabelsAnswer(Answer):
    labels: Annotated[tuple[NamedLabel, ...], Field(min_length=2, max_length=_MOST_LABELS)]


class SeedsAnswer(Answer):
    rows: Annotated[tuple[WrittenRow, ...], Field(max_length=100)]


class ReadLabel(Answer):
    label: str


class ReadAnswer(Answer):
    """A label for each text, in order."""

    read: Annotated[tuple[ReadLabel, ...], Field(max_length=200)]


LABELS = Prompt(
    name="propose-labels",
    version=1,
    system=(
        "You plan a text classifier. You are given what it shall do. Name the labels it needs: "
        "few, distinct, each in one to three words joined by underscores, and together covering "
        "what the description speaks of. Say in one sentence what belongs under each."
    ),
    answer=LabelsAnswer,
    max_tokens=2_000,
)
SEEDS = Prompt(
    name="write-seeds",
    version=1,
    system=(
        "You write training examples for a new text classifier. You are given what it shall do, "
        "one of its labels, and inputs written already. Write new inputs whose right label is "
        "that one and no other, as real users would write them: of various length, tone and "
        "wording, some of them near to another label. Do not repeat those written already."
    ),
    answer=SeedsAnswer,
    max_tokens=3_000,
)
READ = Prompt(
    name="read-seeds",
    version=1,
    system=(
        "You label inputs for a text classifier. You are given what it shall do, and inputs. "
        "Give the one right label of each, in the order of the inputs."
    ),
    answer=ReadAnswer,
    max_tokens=2_000,
)


@dataclass(frozen=True, slots=True)
class Seeds:
    """Rows that were accepted, by label, and how many were refused for which reason."""

    rows: Mapping[str, tuple[WrittenRow, ...]]
    refused: Mapping[str, int]

    def missing(self, count: int) -> dict[str, int]:
        """How many rows each label still needs to have ``count``."""
        return {label: count - len(rows) for label, rows in self.rows.items() if len(rows) < count}

    def placed(self) -> tuple[PlacedRow, ...]:
        """All rows, as if their owner had written them."""
        return tuple(
            labelled(r.text, r.label, f"written {label}:{n}")
            for label, rows in self.rows.items()
            for n, r in enumerate(rows, 1)
        )


def labels_question(description: str) -> Question[LabelsAnswer]:
    """Which labels does the task need?"""
    return LABELS.about("labels", [("description", description)])


def seeds_question(
    description: str,
    label: str,
    labels: Sequence[str],
    known: Sequence[str],
    *,
    count: int,
    turn: int,
) -> Question[SeedsAnswer]:
    """Which inputs belong under this label? Another ``turn`` is another question."""
    written = [("written-already", text) for text in known[-_SHOWN:]]
    others = ", ".join(other for other in labels if other != label)
    return SEEDS.about(
        f"{label}, turn {turn}",
        [("description", description), ("label", label), *written],
        facts=f"Write {count} inputs of at most {MAX_WORDS} words. The other labels: {others}.",
        choices={"label": (label,)},
    )


def read_question(
    description: str, labels: Sequence[str], rows: Sequence[WrittenRow]
) -> Question[ReadAnswer]:
    """Which label has each of these inputs?"""
    return READ.about(
        f"{len(rows)} inputs",
        [("description", description), *(("input", row.text) for row in rows)],
        facts=f"There are {len(rows)} inputs. The labels: {', '.join(labels)}.",
        choices={"label": tuple(labels)},
    )


def well_formed(
    label: str, answer: SeedsAnswer | None, seeds: Seeds
) -> tuple[tuple[WrittenRow, ...], dict[str, int]]:
    """Rows that say something new and have the label asked for, and why the others do not."""
    if answer is None:
        return (), {}
    known = [row.text for rows in seeds.rows.values() for row in rows]
    found = accept_written(answer.rows, labels=(label,), evaluation_texts=(), known_texts=known)
    return found.rows, dict(found.refused)


def confirmed(
    rows: Sequence[WrittenRow], answer: ReadAnswer | None
) -> tuple[tuple[WrittenRow, ...], dict[str, int]]:
    """Rows whose label was read again; none where the reading does not fit the rows."""
    if answer is None or len(answer.read) != len(rows):
        return (), {UNCONFIRMED: len(rows)} if rows else {}
    kept = tuple(r for r, read in zip(rows, answer.read, strict=True) if r.label == read.label)
    lost = len(rows) - len(kept)
    return kept, {UNCONFIRMED: lost} if lost else {}


def grown(
    seeds: Seeds, label: str, rows: Sequence[WrittenRow], refused: Sequence[Mapping[str, int]]
) -> Seeds:
    """With these rows more of one label, none that another label has by now."""
    taken = [row.text for known in seeds.rows.values() for row in known]
    found = accept_written(rows, labels=(label,), evaluation_texts=(), known_texts=taken)
    counts = Counter(seeds.refused)
    for each in (*refused, found.refused):
        counts.update(each)
    more = {label: (*seeds.rows[label], *found.rows)}
    return Seeds({**seeds.rows, **more}, dict(sorted(counts.items())))
