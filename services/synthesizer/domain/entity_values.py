"""No value of an entity more than a few times: a model must learn the place, not the name (§2.3).

A value above the limit is replaced by another of its type; the entities behind it move along.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from services.synthesizer.domain.controls import FAILURE
from shared.domain.entities import Entity, read_answer, write_answer
from shared.domain.ids import derive_id
from shared.domain.near_duplicates import NearDuplicateIndex, normalise
from shared.domain.rows import TrainingRow

MOST = 3
DIVERSE = "other values"

# A type and its words, in whatever case.
_Value = tuple[str, str]


def diversified(
    rows: Sequence[TrainingRow],
    *,
    evaluation_texts: Iterable[str],
    most: int = MOST,
    protected: str = FAILURE,
) -> list[TrainingRow]:
    """The rows in order, each value at most ``most`` times where other values of its type remain.

    Rows of the source ``protected`` count and stay as they are; what would come near an evaluation
    text, or say what another row says, does too. Equal rows give equal rows.
    """
    values = _Values(rows, most)
    made: dict[int, TrainingRow] = {}
    for stays in (True, False):
        for at, row in enumerate(rows):
            if (row.source == protected) is stays:
                made[at] = row if values.fits(row) or stays else values.instead(row)
                values.count(made[at])
    changed = [at for at, row in enumerate(rows) if made[at] is not row]
    measured = NearDuplicateIndex(evaluation_texts).match_each([made[at].text for at in changed])
    known = {normalise(row.text) for row in rows}
    for at, leaks in zip(changed, measured, strict=True):
        text = normalise(made[at].text)
        if leaks or text in known:
            made[at] = rows[at]
        known.add(text)
    return [made[at] for at in range(len(rows))]


class _Values:
    """How often each value was met so far and is there in all, and which others its type has."""

    def __init__(self, rows: Sequence[TrainingRow], most: int) -> None:
        self._most = most
        self._met: Counter[_Value] = Counter()
        self._there = Counter(value for row in rows for value in _values(row))
        spelt: dict[str, dict[str, str]] = defaultdict(dict)
        for row in sorted(rows, key=lambda row: row.id):
            for entity in read_answer(row.target):
                words = _words(entity, row.text)
                spelt[entity.type].setdefault(words.casefold(), words)
        self._of_type: Mapping[str, list[str]] = {
            of_type: [words for _, words in sorted(found.items())]
            for of_type, found in spelt.items()
        }

    def fits(self, row: TrainingRow) -> bool:
        return all(self._met[value] < self._most for value in _values(row))

    def count(self, row: TrainingRow) -> None:
        self._met.update(_values(row))

    def instead(self, row: TrainingRow) -> TrainingRow:
        """The row with its worn values replaced; the row itself where none can be."""
        text, moved = row.text, list[Entity]()
        taken: set[_Value] = {*_values(row)}
        shift = 0
        for entity in read_answer(row.target):
            words = _words(entity, row.text)
            other = self._other(entity.type, words, row.id, taken) or words
            self._there[entity.type, words.casefold()] -= 1
            self._there[entity.type, other.casefold()] += 1
            taken.add((entity.type, other.casefold()))
            start = entity.start + shift
            text = text[:start] + other + text[start + len(words) :]
            moved.append(Entity(start, start + len(other), entity.type))
            shift += len(other) - len(words)
        if text == row.text:
            return row
        return replace(
            row,
            id=derive_id("diversified", row.id, text),
            text=text,
            target=write_answer(moved, text),
            source=DIVERSE,
            reason=f"{row.reason}; other values for worn ones of row {row.id}",
        )

    def _other(self, of_type: str, words: str, seed: str, taken: set[_Value]) -> str | None:
        """The rarest value of the type; None while this one is not worn."""
        if self._met[of_type, words.casefold()] < self._most:
            return None

        def rank(other: str) -> tuple[int, str]:
            return self._there[of_type, other.casefold()], derive_id(seed, other)

        free = [o for o in self._of_type[of_type] if (of_type, o.casefold()) not in taken]
        best = min(free, key=rank, default=None)
        if best is None or self._there[of_type, best.casefold()] >= self._most:
            return None
        return best


def _values(row: TrainingRow) -> list[_Value]:
    return [(e.type, _words(e, row.text).casefold()) for e in read_answer(row.target)]


def _words(entity: Entity, text: str) -> str:
    return text[entity.start : entity.end]
