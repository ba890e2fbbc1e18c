"""Entities of a text that was changed, and wrong ones: another type, another boundary, missed."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from random import Random

from shared.domain.entities import Entity, read_answer, write_answer

_WORD = re.compile(r"\w+")
_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class EntityAnswers:
    """``asked_for`` are the entity types."""

    asked_for: tuple[str, ...]

    def wrong(self, truth: str, text: str, rng: Random) -> str:
        """One entity is missed, of another type or longer; one is seen where there is none.

        A text without words has no wrong answer: it comes back as it is.
        """
        entities = list(read_answer(truth))
        if not entities:
            return self._invented(text, rng) or truth
        at = rng.randrange(len(entities))
        ways = rng.sample(("type", "boundary", "missed"), 3)
        for way in ways:
            changed = self._changed(way, entities, at, text, rng)
            if changed is not None:
                return write_answer(changed, text)
        return truth

    def moved(self, truth: str, before: str, after: str) -> str | None:
        """None where an entity stands in the changed text, but nobody can say where.

        Nor where one is said more often than before: the new place would be an entity too.
        """
        if any(_said(words, after) > _said(words, before) for words in _named(truth, before)):
            return None
        found = self._found(truth, before, after)
        lost = [entity for entity, place in found if place is None]
        if any(_left_over(before[one.start : one.end], after) for one in lost):
            return None
        places = [place for _, place in found if place is not None]
        return None if _overlap(places) else write_answer(places, after)

    def left(self, truth: str, before: str, after: str) -> str:
        """The entities that are still found; the others are gone."""
        kept: list[Entity] = []
        for _, place in self._found(truth, before, after):
            if place is not None and not any(place.overlaps(one) for one in kept):
                kept.append(place)
        return write_answer(kept, after)

    def _found(self, truth: str, before: str, after: str) -> list[tuple[Entity, Entity | None]]:
        entities = read_answer(truth)
        if before == after or not entities:
            return [(entity, entity) for entity in entities]
        return _places(entities, _folded(before), _folded(after))

    def _changed(
        self, way: str, entities: Sequence[Entity], at: int, text: str, rng: Random
    ) -> list[Entity] | None:
        meant, others = entities[at], [*entities[:at], *entities[at + 1 :]]
        if way == "missed":
            return others
        if way == "type":
            types = [name for name in self.asked_for if name != meant.type]
            put = Entity(meant.start, meant.end, rng.choice(types)) if types else None
        else:
            put = _longer(meant, text)
        if put is None or any(put.overlaps(other) for other in others):
            return None
        return [*others, put]

    def _invented(self, text: str, rng: Random) -> str | None:
        words = [found.span() for found in _WORD.finditer(text)]
        if not words:
            return None
        start, end = rng.choice(words)
        return write_answer([Entity(start, end, rng.choice(self.asked_for))], text)


def _longer(entity: Entity, text: str) -> Entity | None:
    """With the word behind it; the last word of a text loses what stands before its own last."""
    if behind := _WORD.search(text, entity.end):
        return Entity(entity.start, behind.end(), entity.type)
    inside = [found.span() for found in _WORD.finditer(text, entity.start, entity.end)]
    return Entity(inside[-1][0], entity.end, entity.type) if len(inside) > 1 else None


def _places(
    entities: Sequence[Entity], before: str, after: str
) -> list[tuple[Entity, Entity | None]]:
    """Each entity with its place in the changed text; None where it has none that is sure."""
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    starts = [block[1] for block in blocks]
    found: list[tuple[Entity, Entity | None]] = []
    for entity in entities:
        place = _same_words(entity, before, after)
        if place is None:
            first = _at(blocks[bisect_right(starts, entity.start) - 1], entity.start, end=False)
            last = _at(blocks[bisect_right(starts, entity.end - 1) - 1], entity.end, end=True)
            place = _alike(entity, before, after, first, last)
        found.append((entity, place))
    return found


def _same_words(entity: Entity, before: str, after: str) -> Entity | None:
    """Where its own words stand, if they stand there as often as before."""
    words = re.compile(rf"(?<!\w){re.escape(before[entity.start : entity.end])}(?!\w)")
    was = [one.start() for one in words.finditer(before)]
    now = [one.start() for one in words.finditer(after)]
    if len(was) != len(now) or entity.start not in was:
        return None
    start = now[was.index(entity.start)]
    return Entity(start, start + entity.end - entity.start, entity.type)


def _at(block: tuple[str, int, int, int, int], place: int, *, end: bool) -> int:
    """A place of the text before in the text after."""
    way, start, _, to_start, to_end = block
    if way == "equal":
        return to_start + place - start
    return to_end if end else to_start


def _alike(entity: Entity, before: str, after: str, start: int, end: int) -> Entity | None:
    """The whole words from ``start`` to ``end``, where they look like the entity's own."""
    while start > 0 and start < len(after) and _inner(after, start):
        start -= 1
    while 0 < end < len(after) and _inner(after, end):
        end += 1
    said = after[start:end]
    start, end = start + len(said) - len(said.lstrip()), end - len(said) + len(said.rstrip())
    if start >= end:
        return None
    own, put = before[entity.start : entity.end], after[start:end]
    if _torn(own, put, after[:start] + after[end:]):
        return None
    alike = SequenceMatcher(None, own, put).ratio()
    return Entity(start, end, entity.type) if alike >= _ALIKE else None


def _torn(own: str, put: str, around: str) -> bool:
    """Whether other words stand inside an entity, or words of its own beside it."""
    words, now = _WORD.findall(own), _WORD.findall(put)
    return len(now) > len(words) or bool(({*words} - {*now}) & {*_WORD.findall(around)})


def _inner(text: str, at: int) -> bool:
    return text[at - 1 : at + 1].isalnum()


def _named(truth: str, text: str) -> set[str]:
    return {text[entity.start : entity.end] for entity in read_answer(truth)}


def _said(words: str, text: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(_folded(words))}(?!\w)", _folded(text)))


def _left_over(words: str, after: str) -> bool:
    """Whether a word of a lost entity is still there: then it was torn, not cut off."""
    return any(word in _folded(after) for word in _WORD.findall(_folded(words)))


def _overlap(entities: Sequence[Entity]) -> bool:
    ordered = sorted(entities)
    return any(a.overlaps(b) for a, b in pairwise(ordered))


def _folded(text: str) -> str:
    """Without case, every character in its place."""
    return "".join(low if len(low := one.lower()) == 1 else one for one in text)
