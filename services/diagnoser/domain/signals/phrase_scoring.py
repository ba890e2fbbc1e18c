"""Scores of readings: groups of words and letters, weighted, by logistic regression."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]

_STRENGTH = 60.0
# Groups of one to three words, marked as such, and of two to five letters of a word and its ends.
_WORDS, _LETTERS = (1, 2, 3), (2, 3, 4, 5)
_MARK = "="
_STOP = re.compile(r"(?:^| )[.,](?: |$)")
# What is longer is no word; all its letters would only fill the memory.
_LONGEST = 40


def counter_of(readings: Sequence[str]) -> tuple[CountVectorizer, Any]:
    """What counts the groups that occur in these readings, and their counts [n, groups]."""
    counter = CountVectorizer(analyzer=cast(Any, _groups))
    return counter, counter.fit_transform(readings)


def spoken(group: str) -> str | None:
    """The words of a group of words; None for one of letters."""
    return group.removeprefix(_MARK) if group.startswith(_MARK) else None


@dataclass(frozen=True, slots=True)
class Scorer:
    """Logistic regression on the weighted groups of the rows it was fitted to, and no others."""

    seen: npt.NDArray[Any]
    weigh: TfidfTransformer
    model: LogisticRegression

    @classmethod
    def of(cls, counts: Any, harmful: npt.NDArray[np.bool_]) -> "Scorer":
        seen = np.flatnonzero(counts.getnnz(axis=0))
        weigh = TfidfTransformer(sublinear_tf=True)
        model = LogisticRegression(C=_STRENGTH, class_weight="balanced", solver="liblinear")
        return cls(seen, weigh, model.fit(weigh.fit_transform(counts[:, seen]), harmful))

    @property
    def weights(self) -> Floats:
        return np.ravel(self.model.coef_)

    def features(self, counts: Any) -> Any:
        return self.weigh.transform(counts[:, self.seen])

    def scores(self, counts: Any) -> Floats:
        return self.model.decision_function(self.features(counts))


@dataclass(frozen=True, slots=True)
class Clauses:
    """The clauses of rows that have several: ``counts`` of each, ``row_of`` each."""

    counts: Any
    row_of: npt.NDArray[np.int64]

    @classmethod
    def of(cls, readings: Sequence[str], counter: CountVectorizer) -> "Clauses":
        parts: list[str] = []
        row_of: list[int] = []
        for row, reading in enumerate(readings):
            clauses = [clause for clause in _STOP.split(reading) if clause.count(" ") > 1]
            if len(clauses) > 1:
                parts += [f". {clause} ." for clause in clauses]
                row_of += [row] * len(clauses)
        return cls(counter.transform(parts) if parts else None, np.array(row_of, np.int64))

    def heard(self, scores: Floats, scorer: Scorer) -> Floats:
        """Each row's score and that of its strongest clause, on the mean.

        Beside a long request a phrase would drown; a clause alone lacks what it refers to.
        """
        strongest = scores.copy()
        if len(self.row_of):
            np.maximum.at(strongest, self.row_of, scorer.scores(self.counts))
        return (scores + strongest) / 2


def _groups(reading: str) -> list[str]:
    words = reading.split()
    found = [
        _MARK + " ".join(words[at : at + length])
        for length in _WORDS
        for at in range(len(words) - length + 1)
    ]
    for word in words:
        found += _letters(word)
    return found


@lru_cache(maxsize=100_000)
def _letters(word: str) -> tuple[str, ...]:
    shown = f" {word[:_LONGEST]} "
    return tuple(
        shown[at : at + length] for length in _LETTERS for at in range(len(shown) - length + 1)
    )
