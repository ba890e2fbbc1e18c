"""Where answers meet: rows whose nearest neighbours, by their words, have another answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.domain.near_duplicates import normalise

Floats = npt.NDArray[np.float32]
NONE = -1
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Boundary:
    """For each text its nearest one of another sort, NONE where there is none; cosines 0 to 1.

    ``other`` int64 [n] are positions, ``other_cosine`` and ``own_cosine`` float32 [n] how near the
    nearest of another sort and of the own sort are.
    """

    other: npt.NDArray[np.int64]
    other_cosine: Floats
    own_cosine: Floats

    @property
    def hardness(self) -> Floats:
        """-1 to 1, above 0 where another sort is nearer than the own."""
        return self.other_cosine - self.own_cosine

    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of different sorts, lower position first, the nearest first, each once."""
        near = [at for at in range(len(self.other)) if self.other_cosine[at] > 0]
        found = sorted(near, key=lambda at: (-round(float(self.other_cosine[at]), 5), at))
        pairs = [tuple(sorted((at, int(self.other[at])))) for at in found]
        return [(low, high) for low, high in dict.fromkeys(pairs)]


def word_weights() -> Any:
    """What texts are compared by: TF-IDF of their words, and of any two in a row."""
    # Its types allow no function for an analyzer.
    kind: Any = TfidfVectorizer
    return kind(analyzer=_words_and_pairs, sublinear_tf=True)


def _words_and_pairs(text: str) -> list[str]:
    words = normalise(text).split()
    return [*words, *(" ".join(two) for two in pairwise(words))]


def boundary_of(texts: Sequence[str], sorts: Sequence[str]) -> Boundary:
    """Neighbours by TF-IDF of words and pairs of words. Raises ValueError for unequal lengths."""
    if len(texts) != len(sorts):
        raise ValueError(f"{len(texts)} texts and {len(sorts)} sorts: give one for each")
    names = {name: number for number, name in enumerate(sorted(set(sorts)))}
    codes = np.array([names[name] for name in sorts], np.int64)
    size = len(texts)
    other = np.full(size, NONE, np.int64)
    other_cosine, own_cosine = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for part, cosines in _cosines(texts):
        rows = np.arange(size)[part]
        same = codes[part, None] == codes[None]
        apart = np.where(same, -1, cosines)
        nearest = apart.argmax(1)
        value = np.take_along_axis(apart, nearest[:, None], 1)[:, 0]
        other[part] = np.where(value >= 0, nearest, NONE)
        other_cosine[part] = np.maximum(value, 0)
        cosines[np.arange(len(rows)), rows] = -1
        own_cosine[part] = np.maximum(np.where(same, cosines, -1).max(1), 0)
    return Boundary(other, other_cosine, own_cosine)


def _cosines(texts: Sequence[str]) -> Iterator[tuple[slice, Floats]]:
    """Rows of the matrix of cosines, float32 [some, n], a part at a time."""
    if not texts:
        return
    vectors: Any = word_weights().fit_transform(texts).astype(np.float32)
    step = max(1, _CELLS_AT_ONCE // len(texts))
    for start in range(0, len(texts), step):
        part = slice(start, start + step)
        yield part, (vectors[part] @ vectors.T).toarray()
