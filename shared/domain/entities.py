"""Entities of a text, and how answers write them down.

An answer stays one string wherever rows and traces travel: a JSON list, in the order of the text,
of ``{"start", "end", "type", "text"}``, with offsets in characters, ``end`` exclusive. ``text``
repeats the words, for people who read it and to notice offsets that were counted otherwise; who
writes an answer by hand may leave it out. No entity is ``[]``.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from shared.errors import BadInput

_QUOTED = 60


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """The characters ``start`` to ``end`` of a text name something of this type."""

    start: int
    end: int
    type: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"entity from {self.start} to {self.end}: must hold a character")
        if not self.type:
            raise ValueError(f"entity from {self.start} to {self.end}: has no type")

    def overlaps(self, other: "Entity") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class SeenEntity:
    """An entity a model saw, and its probability, that of its least sure word."""

    entity: Entity
    probability: float


def write_answer(entities: Iterable[Entity], text: str) -> str:
    """The one form of these entities of this text: equal sets give equal strings."""
    return json.dumps(
        [
            {"start": e.start, "end": e.end, "type": e.type, "text": text[e.start : e.end]}
            for e in sorted(set(entities))
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def read_answer(answer: str) -> tuple[Entity, ...]:
    """The entities an answer names, each once, in the order of the text.

    Raises BadInput, saying what an answer looks like, when it is none.
    """
    try:
        found = json.loads(answer)
        if not isinstance(found, list):
            raise TypeError("not a list")
        return tuple(sorted({_entity(one) for one in found}))
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f"{_quote(answer)} is no list of entities ({_why(error)}): write "
            '[{"start": 0, "end": 5, "type": "…"}], or [] where there is none'
        ) from None


def objection_to(answer: str, types: Sequence[str], text: str | None = None) -> str | None:
    """Why these cannot be the entities of a text, in words, or None.

    Without the ``text`` nobody can say whether an entity lies within it.
    """
    try:
        entities = read_answer(answer)
    except BadInput as error:
        return str(error)
    for entity in entities:
        if entity.type not in types:
            return f"{entity.type[:_QUOTED]!r} is not one of the {len(types)} entity types"
    for one, other in pairwise(entities):
        if one.overlaps(other):
            return f"entities {one.start}-{one.end} and {other.start}-{other.end} overlap: keep one"
    return None if text is None else _outside(answer, entities, text)


def canonical_answer(answer: str, text: str) -> str:
    """The answer in its one form; what is no answer comes back as it is."""
    try:
        return write_answer(read_answer(answer), text)
    except BadInput:
        return answer


def _outside(answer: str, entities: Sequence[Entity], text: str) -> str | None:
    if entities and entities[-1].end > len(text):
        last = entities[-1]
        return f"entity {last.start}-{last.end} ends behind the text of {len(text)} characters"
    for entity in entities:
        words = text[entity.start : entity.end]
        if words != words.strip():
            return f"entity {entity.start}-{entity.end} {words!r} begins or ends with a space"
    for one in json.loads(answer):
        words = text[one["start"] : one["end"]]
        if one.get("text", words) != words:
            return (
                f"entity {one['start']}-{one['end']} says {_quote(str(one['text']))}, but there "
                f"the text has {_quote(words)}: count characters from 0, the end exclusive"
            )
    return None


def _entity(found: Any) -> Entity:
    start, end, of_type = found["start"], found["end"], found["type"]
    if not (type(start) is int and type(end) is int and isinstance(of_type, str)):
        raise TypeError("start and end must be whole numbers, type a text")
    return Entity(start, end, of_type)


def _why(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _quote(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")
