"""Seed rows of labels: of a classifier, or of a model that writes one of few answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from services.synthesizer.domain.seeds import SHOWN, Refused, SeedRow
from shared.domain.chat import Answer, Prompt, Question, Remark, tidy
from shared.domain.row_files import PlacedRow, labelled, written
from shared.domain.tasks import TaskKind
from shared.domain.written import MAX_WORDS, WrittenRow

_MOST_LABELS = 50

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


def labels_question(description: str) -> Question[LabelsAnswer]:
    """Which labels does the task need?"""
    return LABELS.about("labels", [("description", description)])


@dataclass(frozen=True, slots=True)
class LabelSeeds:
    """Rows of each label; ``kind``: the family whose rows they become."""

    description: str
    sorts: tuple[str, ...]
    kind: TaskKind = TaskKind.CLASSIFICATION

    def question(
        self, sort: str, known: Sequence[str], *, count: int, turn: int
    ) -> Question[SeedsAnswer]:
        shown = [("written-already", text) for text in known[-SHOWN:]]
        others = ", ".join(other for other in self.sorts if other != sort)
        return SEEDS.about(
            f"{sort}, turn {turn}",
            [("description", self.description), ("label", sort), *shown],
            facts=f"Write {count} inputs of at most {MAX_WORDS} words. The other labels: {others}.",
            choices={"label": (sort,)},
        )

    def read(self, sort: str, answer: SeedsAnswer) -> tuple[Sequence[SeedRow], Refused]:
        return [SeedRow(row.text, row.label, row.label) for row in answer.rows], {}

    def reading(self, rows: Sequence[SeedRow]) -> Question[ReadAnswer]:
        return READ.about(
            f"{len(rows)} inputs",
            [("description", self.description), *(("input", row.text) for row in rows)],
            facts=f"There are {len(rows)} inputs. The labels: {', '.join(self.sorts)}.",
            choices={"label": self.sorts},
        )

    def agrees(self, rows: Sequence[SeedRow], answer: ReadAnswer) -> Sequence[bool]:
        if len(answer.read) != len(rows):
            return ()
        return [row.label == one.label for row, one in zip(rows, answer.read, strict=True)]

    def placed(self, row: SeedRow, place: str) -> PlacedRow:
        if self.kind is TaskKind.GENERATION:
            return written(row.text, row.target, place)
        return labelled(row.text, row.target, place)
