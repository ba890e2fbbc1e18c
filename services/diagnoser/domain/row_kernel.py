"""Rows as features of one kernel over meaning and words, and ridge scores on those features.

The kernel is Gaussian in the distance of the centred embeddings and of the TF-IDF words; Nyström
features (Williams & Seeger 2001) make it linear, so that ridge regression has its leave-one-out
scores in closed form and costs O(rows).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

Floats = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]

# Its stubs know fewer arguments than it takes.
_TfidfVectorizer: Any = TfidfVectorizer

_LANDMARKS = 1500
_TOPICS = 256
_MEANING, _WORDS = 0.6, 0.3
# Of the largest eigenvalue: landmarks that nearly repeat others add nothing.
_JITTER = 1e-6
# So many rows' similarities to all landmarks stay in the processor's cache.
_AT_ONCE = 1_024
# Question words and "not" decide intents: no stop words; punctuation counts too.
_WORD_OR_SIGN = r"\w+|[^\w\s]"


class RowKernel:
    """Nyström features of rows. ``sample``: float32 [n, p], of the rows it was made from."""

    def __init__(
        self, vectors: Floats, texts: Sequence[str] | None, rng: np.random.Generator
    ) -> None:
        """``vectors`` is [n, d]; with ``texts`` words count beside meaning."""
        self._centre = vectors.mean(axis=0)
        self._words, worded = None, None
        if texts is not None:
            self._words, worded = _Words.of(texts, rng)
        points = self._points(vectors, worded)
        self._landmarks = points[np.sort(rng.permutation(len(points))[:_LANDMARKS])]
        # In double precision no rounding makes the matrix indefinite.
        exact = self._landmarks.astype(np.float64)
        among = _gaussian(exact, exact)
        among[np.diag_indices_from(among)] += _JITTER * among.sum(axis=1).max()
        self._root: Any = np.linalg.cholesky(among)
        self.sample = self._features(points)

    def scores(self, vectors: Floats, texts: Sequence[str] | None, coefficients: Floats) -> Floats:
        """Other rows' features times ``coefficients`` [p, k]: [n, k]; texts as when it was made."""
        worded = None if self._words is None or texts is None else self._words.map(texts)
        points = self._points(vectors, worded)
        # Their features are never made: the landmarks' own weights cost a fraction.
        of_landmark = _solved(self._root, coefficients[:-1], transposed=True)
        found = np.empty((len(points), coefficients.shape[1]), np.float32)
        for rows in _blocks(len(points)):
            found[rows] = _gaussian(points[rows], self._landmarks) @ of_landmark
        return found + coefficients[-1]

    def _features(self, points: Floats) -> Floats:
        root = self._root.astype(np.float32)
        features = np.empty((len(points), len(root) + 1), np.float32)
        features[:, -1] = 1
        for rows in _blocks(len(points)):
            near = _gaussian(points[rows], self._landmarks)
            features[rows, :-1] = _solved(root, near.T).T
        return features

    def _points(self, vectors: Floats, worded: Floats | None) -> Floats:
        """Points whose squared distances are the weighted sum of both distances."""
        centred = vectors - self._centre
        centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        if worded is None:
            return centred
        return np.hstack([_MEANING**0.5 * centred, _WORDS**0.5 * worded])


@dataclass(frozen=True, slots=True)
class _Words:
    """TF-IDF of words and pairs of words, reduced to a few hundred dimensions."""

    vectoriser: Any
    topics: Any

    @classmethod
    def of(
        cls, texts: Sequence[str], rng: np.random.Generator
    ) -> "tuple[_Words, Floats] | tuple[None, None]":
        """With what ``map`` says of these texts; None when their words cannot tell them apart."""
        vectoriser = _TfidfVectorizer(
            sublinear_tf=True,
            ngram_range=(1, 2),
            min_df=2,
            token_pattern=_WORD_OR_SIGN,
            dtype=np.float32,
        )
        try:
            weights: Any = vectoriser.fit_transform(texts)
        except ValueError:  # scikit-learn's answer to an empty vocabulary
            return None, None
        if min(weights.shape) < 3:
            return None, None
        seed = int(rng.integers(2**31))
        topics = TruncatedSVD(min(_TOPICS, min(weights.shape) - 1), random_state=seed)
        found: Any = topics.fit_transform(weights)
        return cls(vectoriser, topics), found.astype(np.float32, copy=False)

    def map(self, texts: Sequence[str]) -> Floats:
        found: Any = self.topics.transform(self.vectoriser.transform(texts))
        return found.astype(np.float32, copy=False)


def _gaussian(points: Any, landmarks: Any) -> Any:
    """exp(-squared distance), [n, p], in the precision of the points."""
    near = points @ landmarks.T
    near *= 2
    near -= (points**2).sum(axis=1)[:, None]
    near -= (landmarks**2).sum(axis=1)
    return np.exp(np.minimum(near, 0, out=near), out=near)


def _solved(root: Any, right: Any, *, transposed: bool = False) -> Any:
    """``root`` (or its transpose) times the answer is ``right``; in the precision of ``root``."""
    return solve_triangular(root, right, trans=int(transposed), lower=True, check_finite=False)


def _blocks(rows: int) -> Iterable[slice]:
    return (slice(start, start + _AT_ONCE) for start in range(0, rows, _AT_ONCE))


class WeightedRows:
    """Features of rows that weigh ``fixed + share * shared``, whatever the share."""

    def __init__(self, features: Floats, fixed: Floats, shared: Floats) -> None:
        """``features`` [n, p]; both parts of the weights [n], 0 or more."""
        self._features, self._fixed, self._shared = features, fixed, shared
        # One product of all rows serves every share.
        self._grams = _gram(features, fixed), _gram(features, shared)

    def ridge(self, share: float, penalty: float, judged: slice = slice(None)) -> "Ridge":
        """``judged``: rows that will be scored."""
        fixed, shared = self._grams
        gram = fixed + share * shared
        gram[np.diag_indices_from(gram)] += penalty
        weights = (self._fixed + share * self._shared).astype(np.float32)
        return Ridge(self._features, weights, gram, judged)


def _gram(features: Floats, weights: Floats) -> Reals:
    some = np.flatnonzero(weights)
    rows = features[some] * np.sqrt(weights[some])[:, None]
    return (rows.T @ rows).astype(np.float64)


class Ridge:
    """Weighted ridge regression for one set of weights and any number of targets."""

    def __init__(self, features: Floats, weights: Floats, gram: Reals, judged: slice) -> None:
        """``gram`` [p, p]: of the weighted features, with the penalty on its diagonal."""
        self._features, self._weights, self._judged = features, weights[:, None], judged
        self._root: Any = np.linalg.cholesky(gram)
        root, asked = self._root.astype(np.float32), features[judged]
        own = np.empty(len(asked), np.float32)
        for rows in _blocks(len(asked)):
            half = _solved(root, asked[rows].T)
            own[rows] = np.einsum("pn,pn->n", half, half)
        self._own: Floats = np.minimum(own * weights[judged], np.float32(0.999))[:, None]

    def coefficients(self, targets: Floats) -> Floats:
        """[p, k] for targets [n, k]."""
        moments = self._features.T @ (self._weights * targets)
        found: Any = cho_solve((self._root, True), moments, check_finite=False)
        return found.astype(np.float32)

    def leave_one_out(self, targets: Floats) -> Floats:
        """What each judged row would score, had it not been fitted."""
        fitted: Any = self._features[self._judged] @ self.coefficients(targets)
        return (fitted - self._own * targets[self._judged]) / (1 - self._own)
