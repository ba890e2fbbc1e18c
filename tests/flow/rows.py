"""Rows a character model can learn: each label has ways of saying, each with words of its own."""

from random import Random

from shared.domain.ids import derive_id
from shared.domain.rows import Row

LABELS = ("billing", "delivery", "returns")
# One way of saying of each label borrows its sound from the next label's first way: a model that
# knows only the first ways confuses them.
WAYS = {
    "billing": ("zamborin quelt", "fundelash parvo", "krimosha dellup"),
    "delivery": ("fundelask parvi", "obrintal vessk", "hoxterly wamble"),
    "returns": ("hoxterlo wambli", "krimoshi delluf", "juntarek splod"),
}
FILLERS = tuple(f"{a}{b}" for a in ("ta", "re", "mi", "so", "lu") for b in ("bek", "dan", "fos"))


def rows_of(way: int, count: int, *, start: int = 0) -> list[Row]:
    """``count`` distinct rows of every label, all in one way of saying."""
    return [_row(label, way, number) for label in LABELS for number in range(start, start + count)]


def _row(label: str, way: int, number: int) -> Row:
    words = Random(f"{label}{way}{number}").sample(FILLERS, 3)
    text = f"{WAYS[label][way]} {' '.join(words)} {number * 7919}"
    return Row(derive_id("row", label, way, number), text, label)
