"""How much a text reads like phrases that poison rows: a model fitted to this deployment's texts.

Rules know the words they were written for. This model learns what known phrases have in common:
logistic regression on groups of words and of letters, told apart from the deployment's trusted
texts, bare and with harmless phrases around them. Its probabilities come from authors and texts
that it was not fitted to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from services.diagnoser.domain.signals.known_phrases import Template, fill, known_templates
from services.diagnoser.domain.signals.phrase_scoring import Clauses, Scorer, counter_of, spoken
from services.diagnoser.domain.signals.reading import read
from shared.domain.triage import Evidence, Family

SIGNAL = "phrase_model"

Floats = npt.NDArray[np.float64]

# With fewer ordinary texts every other word of the domain looks strange.
FEWEST = 60
_MOST = 1_500
_FOLDS = 3
# Of the harmless rows that set the line, the share of bare texts; the rest have phrases around.
_BARE = 0.6
# The share of poisonous phrases that is expected before a row is read. What was answered rightly
# is seldom poison.
_OF_FAILURES, _OF_PASSES = 0.1, 0.02
_REPORTED_FROM, _SUREST = 0.05, 0.97
_ROWS_AT_ONCE = 4_096
_SHOWN = 3


def phrase_evidence(
    failures: Sequence[str],
    passes: Sequence[str],
    ordinary: Sequence[str],
    labels: Sequence[str],
    *,
    templates: Sequence[Template] | None = None,
    seed: int = 0,
) -> list[tuple[Evidence, ...]]:
    """Evidence for the failures, then the passes, whose probability is at least 0.05.

    ``ordinary`` are texts whose answers are trusted; with fewer than 60 there is no evidence.
    ``templates``: all that are known, unless given. Linear in the number of texts.
    """
    texts = [*failures, *passes]
    if len(ordinary) < FEWEST or not texts:
        return [()] * len(texts)
    model = _model(
        tuple(templates or known_templates()), _some(ordinary, seed), tuple(labels), seed
    )
    expected = np.repeat([_OF_FAILURES, _OF_PASSES], [len(failures), len(passes)])
    found: list[tuple[Evidence, ...]] = []
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        found += model.evidence(texts[rows], expected[rows])
    return found


def _some(ordinary: Sequence[str], seed: int) -> tuple[str, ...]:
    texts = sorted(ordinary)
    return tuple(Random(seed).sample(texts, _MOST) if len(texts) > _MOST else texts)


# A deployed version is diagnosed again and again, with the same trusted texts each time.
@lru_cache(maxsize=4)
def _model(
    templates: tuple[Template, ...], texts: tuple[str, ...], labels: tuple[str, ...], seed: int
) -> "PhraseModel":
    return PhraseModel.fit(templates, texts, labels, seed=seed)


@dataclass(frozen=True, slots=True)
class PhraseModel:
    """A fitted model: log-odds of harm are ``slope`` · score + ``offset``.

    ``names`` are of the groups that score, ``families`` the kinds of harm it knows, ``centres`` how
    each of them reads on the mean.
    """

    counter: CountVectorizer
    names: npt.NDArray[Any]
    scorer: Scorer
    slope: float
    offset: float
    families: tuple[Family, ...]
    centres: npt.NDArray[Any]

    @classmethod
    def fit(
        cls,
        templates: Sequence[Template],
        texts: Sequence[str],
        labels: Sequence[str],
        *,
        seed: int = 0,
    ) -> "PhraseModel":
        """The model of templates, of at least three authors, among ordinary texts.

        Raises ValueError with fewer than three texts.
        """
        rows, phrases, fold = _folded(templates, texts, labels, seed)
        readings = [read(text) for text in rows]
        counter, counts = counter_of(readings)
        clauses = Clauses.of(readings, counter)
        harmful = np.array([t.family is not None for t in phrases] + [False] * len(texts))
        scores = np.empty(len(rows))
        for out in range(_FOLDS):
            unseen = fold == out
            scorer = Scorer.of(counts[~unseen], harmful[~unseen])
            scores[unseen] = clauses.heard(scorer.scores(counts), scorer)[unseen]
        slope, offset = _line(scores, harmful, bare=np.arange(len(rows)) >= len(phrases))
        scorer = Scorer.of(counts, harmful)
        families = sorted({t.family for t in phrases if t.family})
        features = scorer.features(counts[: len(phrases)])
        told = [np.array([t.family is family for t in phrases]) for family in families]
        centres = np.stack([np.asarray(features[rows].mean(axis=0))[0] for rows in told])
        names = counter.get_feature_names_out()[scorer.seen]
        return cls(counter, names, scorer, slope, offset, tuple(families), centres)

    def evidence(self, texts: Sequence[str], expected: Floats) -> list[tuple[Evidence, ...]]:
        """For each text what it reads like; ``expected`` [n] the share of poison before reading."""
        readings = [read(text) for text in texts]
        counts = self.counter.transform(readings)
        clauses = Clauses.of(readings, self.counter)
        heard = clauses.heard(self.scorer.scores(counts), self.scorer)
        raised = self.slope * heard + self.offset
        chances = 1 / (1 + np.exp(-raised) * (1 - expected) / expected)
        found: list[tuple[Evidence, ...]] = [()] * len(texts)
        reported = np.flatnonzero(chances >= _REPORTED_FROM)
        if not len(reported):
            return found
        features = self.scorer.features(counts[reported])
        kinds = np.asarray(features @ self.centres.T).argmax(axis=1)
        for at, (row, kind) in enumerate(zip(reported, kinds, strict=True)):
            chance = min(float(chances[row]), _SUREST)
            own = slice(features.indptr[at], features.indptr[at + 1])
            told = self._told_by(features.indices[own], features.data[own])
            detail = f"reads like known phrases of this kind: {told}"
            found[row] = (Evidence(SIGNAL, self.families[kind], chance, detail),)
        return found

    def _told_by(self, groups: npt.NDArray[Any], weights: Floats) -> str:
        """The groups of two or three words that speak most for harm."""
        speaks = weights * self.scorer.weights[groups]
        names: list[str] = self.names[groups].tolist()
        told = (spoken(names[at]) for at in np.argsort(-speaks) if speaks[at] > 0)
        shown = [words for words in told if words and " " in words][:_SHOWN]
        return ", ".join(f"“{words}”" for words in shown) or "its single words"


def _folded(
    templates: Sequence[Template], texts: Sequence[str], labels: Sequence[str], seed: int
) -> tuple[list[str], list[Template], npt.NDArray[np.int64]]:
    """Filled templates before the bare texts, the templates in that order, and each row's fold.

    An author's phrases are in one fold, and filled with its texts only.
    """
    authors = sorted({template.author for template in templates})
    parts = [[t for t in templates if t.author in authors[fold::_FOLDS]] for fold in range(_FOLDS)]
    phrases = [template for part in parts for template in part]
    filled = [
        text
        for fold, part in enumerate(parts)
        for text in fill(part, texts[fold::_FOLDS], labels, seed=seed)
    ]
    folds = np.repeat(np.arange(_FOLDS), [len(part) for part in parts])
    return [*filled, *texts], phrases, np.concatenate([folds, np.arange(len(texts)) % _FOLDS])


def _line(
    scores: Floats, harmful: npt.NDArray[np.bool_], *, bare: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Slope and offset of the log-odds, where harm and its absence are equally likely (Platt)."""
    weights = np.zeros(len(scores))
    for rows, share in ((harmful, 1.0), (bare, _BARE), (~harmful & ~bare, 1 - _BARE)):
        weights[rows] = share * len(scores) / max(int(rows.sum()), 1)
    model = LogisticRegression(C=1e6).fit(scores[:, None], harmful, sample_weight=weights)
    slope, offset = (np.ravel(fitted)[0] for fitted in (model.coef_, model.intercept_))
    return float(slope), float(offset)
