"""Seed rows of entities: of each type, and of texts that name none of them.

A chat model gives the words of an entity, not where they stand: it counts characters badly.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from services.synthesizer.domain.seeds import SHOWN, Refused, SeedRow
from shared.domain.chat import Answer, Prompt, Question, Remark, tidy
from shared.domain.entities import Entity, write_answer
from shared.domain.row_files import PlacedRow, tagged
from shared.domain.written import MAX_WORDS
from shared.tasks.ner import NOTHING, Ner

MISPLACED = "an entity whose words are not in the text"
_MOST_TYPES = 20
_MOST_ENTITIES = 30
_MOST_SIGNS = 2_000
_NER = Ner()

Name = Annotated[str, AfterValidator(lambda text: tidy(text, 40))]
Words = Annotated[str, AfterValidator(lambda text: tidy(text, 200))]


class NamedType(Answer):
    """A type of entities and what belongs under it."""

    name: Name
    meaning: Remark


class TypesAnswer(Answer):
    types: Annotated[tuple[NamedType, ...], Field(min_length=1, max_length=_MOST_TYPES)]


class WrittenEntity(Answer):
    """Words of a text as they stand there, and what they name."""

    type: str
    words: Words


class WrittenText(Answer):
    text: Annotated[str, AfterValidator(lambda text: tidy(text, _MOST_SIGNS))]
    entities: Annotated[tuple[WrittenEntity, ...], Field(max_length=_MOST_ENTITIES)]


class TextsAnswer(Answer):
    rows: Annotated[tuple[WrittenText, ...], Field(max_length=100)]


class ReadText(Answer):
    entities: Annotated[tuple[WrittenEntity, ...], Field(max_length=_MOST_ENTITIES)]


class ReadTexts(Answer):
    """The entities of each text, in order."""

    read: Annotated[tuple[ReadText, ...], Field(max_length=200)]


TYPES = Prompt(
    name="propose-entity-types",
    version=1,
    system=(
        "You plan a tagger that finds entities in text. You are given what it shall do. Name the "
        "types of entities it needs: few, distinct, each in one or two words joined by "
        "underscores. Say in one sentence what belongs under each."
    ),
    answer=TypesAnswer,
    max_tokens=1_500,
)
TEXTS = Prompt(
    name="write-entity-seeds",
    version=1,
    system=(
        "You write training examples for a new tagger that finds entities in text. You are given "
        "what it shall do, the kind of texts that are wanted now, and texts written already. "
        "Write new texts as they would reach it: of various length, tone and wording, each "
        "entity another one. Give with each text all its entities of the given types, with their "
        "words exactly as they stand in the text. Do not repeat texts written already."
    ),
    answer=TextsAnswer,
    max_tokens=4_000,
)
READ_TEXTS = Prompt(
    name="read-entity-seeds",
    version=1,
    system=(
        "You find entities in texts. You are given what a tagger shall do, and texts. Give all "
        "entities of the given types in each, with their words exactly as they stand in the "
        "text, in the order of the texts. A text may have none."
    ),
    answer=ReadTexts,
    max_tokens=4_000,
)


def types_question(description: str) -> Question[TypesAnswer]:
    """Which types of entities does the task need?"""
    return TYPES.about("types", [("description", description)])


@dataclass(frozen=True, slots=True)
class EntitySeeds:
    """Texts that begin with an entity of each type, and texts without any."""

    description: str
    types: tuple[str, ...]

    @property
    def sorts(self) -> tuple[str, ...]:
        return (*self.types, NOTHING)

    def question(
        self, sort: str, known: Sequence[str], *, count: int, turn: int
    ) -> Question[TextsAnswer]:
        shown = [("written-already", text) for text in known[-SHOWN:]]
        wanted = (
            "that name no entity of these types, some of them with words that look like one"
            if sort == NOTHING
            else f"whose first entity is of the type {sort}; others may follow"
        )
        return TEXTS.about(
            f"{sort}, turn {turn}",
            [("description", self.description), *shown],
            facts=f"The types: {', '.join(self.types)}. "
            f"Write {count} texts of at most {MAX_WORDS} words {wanted}.",
            choices={"type": self.types},
        )

    def read(self, sort: str, answer: TextsAnswer) -> tuple[Sequence[SeedRow], Refused]:
        rows, refused = list[SeedRow](), Counter[str]()
        for row in answer.rows:
            target = answer_of(row.text, row.entities)
            if target is None:
                refused[MISPLACED] += 1
            else:
                rows.append(SeedRow(row.text, _NER.sort(target), target))
        return rows, refused

    def reading(self, rows: Sequence[SeedRow]) -> Question[ReadTexts]:
        return READ_TEXTS.about(
            f"{len(rows)} texts",
            [("description", self.description), *(("text", row.text) for row in rows)],
            facts=f"There are {len(rows)} texts. The types: {', '.join(self.types)}.",
            choices={"type": self.types},
        )

    def agrees(self, rows: Sequence[SeedRow], answer: ReadTexts) -> Sequence[bool]:
        if len(answer.read) != len(rows):
            return ()
        again = (
            answer_of(row.text, one.entities) for row, one in zip(rows, answer.read, strict=True)
        )
        return [
            found is not None and _NER.is_right(found, row.target)
            for row, found in zip(rows, again, strict=True)
        ]

    def placed(self, row: SeedRow, place: str) -> PlacedRow:
        return tagged(row.text, row.target, place)


def answer_of(text: str, entities: Iterable[WrittenEntity]) -> str | None:
    """The answer that names these words wherever they stand alone in the text.

    Longer words first: a shorter name within them is no entity of its own. None where the words of
    one stand nowhere.
    """
    found: list[Entity] = []
    for one in sorted(entities, key=lambda one: -len(one.words)):
        places = [Entity(at, at + len(one.words), one.type) for at in _places(text, one.words)]
        if not places:
            return None
        found += [place for place in places if not any(place.overlaps(taken) for taken in found)]
    return write_answer(found, text)


def _places(text: str, words: str) -> list[int]:
    """Where words stand that no letter or digit goes on with, left to right."""
    places: list[int] = []
    at = text.find(words) if words else -1
    while at >= 0:
        around = text[at - 1 : at] + text[at + len(words) : at + len(words) + 1]
        alone = not any(sign.isalnum() for sign in around)
        places += [at] if alone else []
        at = text.find(words, at + (len(words) if alone else 1))
    return places
