"""How like each failure is to the label it should have had, and to the one it was given.

All of it is computed for all failures at once, label by label, so the time is linear in them.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from services.diagnoser.domain.background import Background, Vectors
from shared.domain.near_duplicates import normalise
from shared.domain.traces import JudgedTrace

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

# Its stubs know fewer arguments than it takes.
_TfidfVectorizer: Any = TfidfVectorizer

# Rows of a label beyond these say little more about where it lies.
_ROWS_OF_A_LABEL = 128
_NEAREST = 3
# A failure is far when its nearest row is farther than 95 % of training rows have theirs.
_FAR_QUANTILE = 0.05
_STEM = 5
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """One value for each failure; NaN where a label has no training row.

    ``right`` and ``given``: mean cosine to the nearest training rows of the expected and of the
    predicted label. ``right_words`` and ``given_words``: TF-IDF cosine to all of the label's rows.
    ``right_named`` and ``given_named``: the text has a word of that label's name and not of the
    other's. ``far``: no training row of the expected label is near; ``covered``: several are as
    near as training rows usually have their nearest.
    """

    right: Floats
    given: Floats
    right_words: Floats
    given_words: Floats
    right_named: Bools
    given_named: Bools
    far: Bools
    covered: Bools
    rows_of: dict[str, int]


def likeness(rows: Sequence[JudgedTrace], vectors: Vectors, background: Background) -> Likeness:
    """Compare failures with the parent's training rows. Raises ValueError for other dimensions."""
    if background.training and background.training_vectors.shape[1] != vectors.shape[1]:
        raise ValueError(
            f"failures have {vectors.shape[1]} dimensions, training rows "
            f"{background.training_vectors.shape[1]}: embed both with one encoder"
        )
    expected, predicted = [r.corrected for r in rows], [r.output for r in rows]
    labelled = _by_label([row.target for row in background.training])
    near = _Neighbours(background, labelled)
    right, nearest = near.similarity(vectors, expected)
    given, _ = near.similarity(vectors, predicted)
    texts = [normalise(row.text) for row in rows]
    right_words, given_words = _word_likeness(texts, background, labelled, expected, predicted)
    right_named, given_named = _named(texts, expected, predicted)
    return Likeness(
        right=right,
        given=given,
        right_words=right_words,
        given_words=given_words,
        right_named=right_named,
        given_named=given_named,
        far=nearest < near.far_below(expected),
        covered=right >= near.usual,
        rows_of={label: len(positions) for label, positions in labelled.items()},
    )


class _Neighbours:
    """Training vectors of each label, at most so many, spread over its rows."""

    def __init__(self, background: Background, labelled: dict[str, list[int]]) -> None:
        self._of = {
            label: background.training_vectors[_spread(positions)]
            for label, positions in labelled.items()
        }
        self._far: dict[str, float] = {}
        self._edge = -1.0
        self.usual = np.inf
        self._measure()

    def similarity(self, vectors: Vectors, labels: Sequence[str]) -> tuple[Floats, Floats]:
        """(mean of the nearest, the nearest) cosine of each vector to its label's rows."""
        mean = np.full(len(vectors), np.nan, np.float32)
        best = mean.copy()
        for label, positions in _by_label(labels).items():
            if label in self._of:
                cosines = vectors[positions] @ self._of[label].T
                mean[positions], best[positions] = _nearest(cosines)
        return mean, best

    def far_below(self, labels: Sequence[str]) -> Floats:
        return np.array([self._far.get(label, self._edge) for label in labels], np.float32)

    def _measure(self) -> None:
        """How near training rows of one label usually are to each other."""
        own: dict[str, Floats] = {}
        for label, rows in self._of.items():
            if len(rows) > 1:
                cosines = rows @ rows.T
                np.fill_diagonal(cosines, -1)
                own[label] = cosines.max(axis=1)
        if own:
            everywhere = np.concatenate(list(own.values()))
            self._edge = float(np.quantile(everywhere, _FAR_QUANTILE))
            self.usual = float(np.median(everywhere))
        # Of few rows a quantile is no measure.
        self._far = {
            label: min(self._edge, float(np.quantile(found, _FAR_QUANTILE)))
            for label, found in own.items()
            if len(found) >= 1 / _FAR_QUANTILE
        }


def _nearest(cosines: Floats) -> tuple[Floats, Floats]:
    count = min(_NEAREST, cosines.shape[1])
    top = np.partition(cosines, -count, axis=1)[:, -count:]
    return top.mean(axis=1), top.max(axis=1)


def _spread(positions: list[int]) -> list[int]:
    if len(positions) <= _ROWS_OF_A_LABEL:
        return positions
    picks = np.linspace(0, len(positions) - 1, _ROWS_OF_A_LABEL).astype(int)
    return [positions[at] for at in picks]


def _by_label(labels: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for at, label in enumerate(labels):
        found[label].append(at)
    return found


def _word_likeness(
    texts: Sequence[str],
    background: Background,
    labelled: dict[str, list[int]],
    *wanted: Sequence[str],
) -> list[Floats]:
    """TF-IDF cosine of each failure to the words of its labels' rows."""
    answers = [np.full(len(texts), np.nan, np.float32) for _ in wanted]
    taught = [normalise(row.text) for row in background.training]
    if not any(taught) or not texts:
        return answers
    vectorizer = _TfidfVectorizer(analyzer=str.split, dtype=np.float32)
    training = vectorizer.fit_transform(taught)
    failing = vectorizer.transform(texts)
    centre: dict[str, Floats] = {}
    for label, positions in labelled.items():
        mean = np.asarray(training[positions].sum(axis=0)).ravel()
        centre[label] = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
    for answer, labels in zip(answers, wanted, strict=True):
        for label, positions in _by_label(labels).items():
            if label in centre:
                answer[positions] = failing[positions] @ centre[label]
    return answers


def _named(
    texts: Sequence[str], expected: Sequence[str], predicted: Sequence[str]
) -> tuple[Bools, Bools]:
    names = {label: _name_stems(label) for label in {*expected, *predicted}}
    right, given = np.zeros(len(texts), bool), np.zeros(len(texts), bool)
    for at, (text, one, other) in enumerate(zip(texts, expected, predicted, strict=True)):
        said = {word[:_STEM] for word in text.split()}
        right[at] = not said.isdisjoint(names[one] - names[other])
        given[at] = not said.isdisjoint(names[other] - names[one])
    return right, given


def _name_stems(label: str) -> frozenset[str]:
    words = (word.casefold() for word in _NAME_WORD.findall(label))
    return frozenset(word[:_STEM] for word in words if len(word) > 2)
