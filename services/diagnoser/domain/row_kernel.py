"""Rows as features of one kernel over meaning and words, and ridge scores on those features.

The kernel is Gaussian in the distance of the centred embeddings and of the TF-IDF words; Nyström
features (Williams & Seeger 2001) make it linear, so that ridge regression has its leave-one-out
scores in closed form and costs O(rows).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

Floats = npt.NDArray[np.float32]

_LANDMARKS = 1500
_TOPICS = 256
_MEANING, _WORDS = 0.6, 0.3
# Question words and "not" decide intents: no stop words; punctuation counts too.
_WORD_OR_SIGN = r"\w+|[^\w\s]"


class RowKernel:
    """Nyström features of rows. ``sample``: float32 [n, p], of the rows it was made from."""

    def __init__(
        self, vectors: Floats, texts: Sequence[str] | None, rng: np.random.Generator
    ) -> None:
        """``vectors`` is [n, d]; with ``texts`` words count beside meaning."""
        self._centre = vectors.mean(axis=0)
        self._words = _Words.of(texts, rng) if texts is not None else None
        points = self._points(vectors, texts)
        self._landmarks = points[np.sort(rng.permutation(len(points))[:_LANDMARKS])]
        among = _gaussian(self._landmarks, self._landmarks).astype(np.float64)
        values, directions = np.linalg.eigh(among)
        kept = values > 1e-6 * values[-1]
        self._project = (directions[:, kept] / np.sqrt(values[kept])).astype(np.float32)
        self.sample = self._map(points)

    def map(self, vectors: Floats, texts: Sequence[str] | None) -> Floats:
        """Features of other rows, float32 [n, p]; texts as when it was made."""
        return self._map(self._points(vectors, texts))

    def _map(self, points: Floats) -> Floats:
        near = _gaussian(points, self._landmarks) @ self._project
        return np.hstack([near, np.ones((len(points), 1), np.float32)])

    def _points(self, vectors: Floats, texts: Sequence[str] | None) -> Floats:
        """Points whose squared distances are the weighted sum of both distances."""
        centred = vectors - self._centre
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        if self._words is None or texts is None:
            return centred
        return np.hstack([_MEANING**0.5 * centred, _WORDS**0.5 * self._words.map(texts)])


@dataclass(frozen=True, slots=True)
class _Words:
    """TF-IDF of words and pairs of words, reduced to a few hundred dimensions."""

    vectoriser: Any
    topics: Any

    @classmethod
    def of(cls, texts: Sequence[str], rng: np.random.Generator) -> "_Words | None":
        """None when the texts hold too few words to tell them apart."""
        vectoriser = TfidfVectorizer(
            sublinear_tf=True, ngram_range=(1, 2), min_df=2, token_pattern=_WORD_OR_SIGN
        )
        try:
            weights: Any = vectoriser.fit_transform(texts)
        except ValueError:  # scikit-learn's answer to an empty vocabulary
            return None
        if min(weights.shape) < 3:
            return None
        seed = int(rng.integers(2**31))
        topics = TruncatedSVD(min(_TOPICS, min(weights.shape) - 1), random_state=seed)
        return cls(vectoriser, topics.fit(weights))

    def map(self, texts: Sequence[str]) -> Floats:
        found: Any = self.topics.transform(self.vectoriser.transform(texts))
        return found.astype(np.float32)


def _gaussian(points: Floats, landmarks: Floats) -> Floats:
    """exp(-squared distance), [n, p]."""
    squares = (points**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1)
    squares -= 2 * points @ landmarks.T
    return np.exp(-np.maximum(squares, 0, out=squares), out=squares)


class Ridge:
    """Weighted ridge regression for one set of weights and any number of targets."""

    def __init__(
        self, features: Floats, weights: Floats, penalty: float, judged: slice = slice(None)
    ) -> None:
        """``features`` [n, p]; ``weights`` [n], 0 or more. ``judged``: rows that will be scored."""
        self._weighted, self._judged = features * weights[:, None], judged
        gram = (features.T @ self._weighted).astype(np.float64)
        gram[np.diag_indices_from(gram)] += penalty
        self._solve: Floats = np.linalg.inv(gram).astype(np.float32)
        self._hat = features[judged] @ self._solve
        own = np.einsum("np,np->n", self._hat, self._weighted[judged])
        self._own = np.minimum(own, 0.999)[:, None]

    def coefficients(self, targets: Floats) -> Floats:
        """[p, k] for targets [n, k]."""
        return (self._solve @ (self._weighted.T @ targets)).astype(np.float32, copy=False)

    def leave_one_out(self, targets: Floats) -> Floats:
        """What each judged row would score, had it not been fitted."""
        fitted = self._hat @ (self._weighted.T @ targets)
        return (fitted - self._own * targets[self._judged]) / (1 - self._own)
