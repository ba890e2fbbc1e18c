"""BIO tags of words, and the entities they stand for.

``B-type`` begins an entity, ``I-type`` goes on with it, ``O`` is outside. Words are given as
(start, end) in the characters of their text, in order, none overlapping another.
"""

from collections.abc import Sequence

from shared.domain.entities import Entity
from shared.errors import BadInput

OUTSIDE = "O"
Word = tuple[int, int]

_BEGIN, _INSIDE = "B-", "I-"
# What other schemes call the last and the single word of an entity.
_FOREIGN = ("E-", "S-", "L-", "U-", "M-")


def bio_tags(types: Sequence[str]) -> tuple[str, ...]:
    """All tags over these types, in the order of a model's head: O, then B and I of each type."""
    return (OUTSIDE, *(mark + of_type for of_type in types for mark in (_BEGIN, _INSIDE)))


def entity_type(tag: str) -> str | None:
    """The type a tag names; None outside."""
    return None if tag == OUTSIDE else tag[len(_BEGIN) :]


def repaired(tags: Sequence[str]) -> tuple[str, ...]:
    """BIO for any row of O, B- and I- tags: an I- that follows nothing of its type begins one.

    This is how models are read, and how IOB1 is meant.
    """
    found: list[str] = []
    for tag in tags:
        stray = tag.startswith(_INSIDE) and not _goes_on(found[-1] if found else OUTSIDE, tag)
        found.append(_BEGIN + tag[len(_INSIDE) :] if stray else tag)
    return tuple(found)


def check_tags(tags: Sequence[str], *, row: str) -> None:
    """Raise BadInput, naming the ``row``, the tag and the remedy, unless these are BIO tags."""
    before = OUTSIDE
    for number, tag in enumerate(tags, 1):
        if complaint := _complaint(before, tag):
            raise BadInput(f"{row}: tag {number} is {tag!r}, {complaint}")
        before = tag


def _complaint(before: str, tag: str) -> str | None:
    if tag == OUTSIDE:
        return None
    if tag.startswith(_FOREIGN):
        return "of another scheme than BIO: write S- and U- as B-, and M-, E- and L- as I-"
    if not tag.startswith((_BEGIN, _INSIDE)) or len(tag) == len(_BEGIN):
        return "not a BIO tag: write B-type, I-type or O"
    if tag.startswith(_INSIDE) and not _goes_on(before, tag):
        return f"but follows {before!r}: write B-{tag[len(_INSIDE) :]} where an entity begins"
    return None


def entities_of(tags: Sequence[str], words: Sequence[Word]) -> tuple[Entity, ...]:
    """The entities that tags give their words; stray I- tags are repaired.

    Raises ValueError when there is not one tag for each word.
    """
    found: list[Entity] = []
    for tag, (start, end) in zip(repaired(tags), words, strict=True):
        of_type = entity_type(tag)
        if of_type is None:
            continue
        if tag.startswith(_INSIDE):
            found[-1] = Entity(found[-1].start, end, of_type)
        else:
            found.append(Entity(start, end, of_type))
    return tuple(found)


def tags_of(entities: Sequence[Entity], words: Sequence[Word]) -> tuple[str, ...]:
    """The tags of the words, of entities that do not overlap.

    A word belongs to an entity that it shares a character with; to the first of several.
    """
    waiting = sorted(entities)
    tags: list[str] = []
    at, begun = 0, False
    for start, end in words:
        while at < len(waiting) and waiting[at].end <= start:
            at, begun = at + 1, False
        if at < len(waiting) and waiting[at].start < end:
            tags.append((_INSIDE if begun else _BEGIN) + waiting[at].type)
            begun = True
        else:
            tags.append(OUTSIDE)
    return tuple(tags)


def from_tokens(
    tokens: Sequence[str], tags: Sequence[str], *, row: str
) -> tuple[str, tuple[Entity, ...]]:
    """(text, entities) of a row of tagged tokens, which a space joins.

    Raises BadInput, naming the ``row``, when there is not one BIO tag for each token.
    """
    if len(tokens) != len(tags):
        raise BadInput(f"{row}: has {len(tokens)} tokens and {len(tags)} tags: give each one tag")
    if blank := [number for number, token in enumerate(tokens, 1) if not token.strip()]:
        raise BadInput(f"{row}: token {blank[0]} is empty: leave it out, with its tag")
    check_tags(tags, row=row)
    words: list[Word] = []
    start = 0
    for token in tokens:
        words.append((start, start + len(token)))
        start += len(token) + 1
    return " ".join(tokens), entities_of(tags, words)


def _goes_on(before: str, tag: str) -> bool:
    return before != OUTSIDE and entity_type(before) == entity_type(tag)
