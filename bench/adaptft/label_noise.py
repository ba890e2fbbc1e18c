"""Wrong labels found: ours against cleanlab on the same rows, embeddings and trusted rows.

Three tasks. ``uniform``: 1,350 rows of 30 confusable intents of CLINC150, 40 % of their labels
flipped to any other. ``nearest``: the same, flipped to one of the two intents nearest by mean
embedding. ``trec_weak``: questions with labels that rules made, 46 % wrong. Trusted are 10 rows an
intent, or 200 questions; they are clean and none of the rows to judge.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from examples.demo.workload import Example, confusable_labels
from services.diagnoser.domain.label_noise import find_wrong_labels
from shared.errors import BadInput

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
INTENTS, ROWS_AN_INTENT, TRUSTED_AN_INTENT = 30, 45, 10
FLIPPED, NEAREST = 0.4, 2
TRUSTED_QUESTIONS = 200
FOLDS = 5


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """``weak``: the labels to judge where the data set has its own, else None."""

    texts: tuple[str, ...]
    vectors: Floats
    right: Ints
    weak: Ints | None
    labels: int


@dataclass(frozen=True, slots=True)
class NoisyRows:
    """Rows with given and right labels, and rows that are trusted."""

    texts: Sequence[str]
    vectors: Floats
    given: Ints
    right: Ints
    trusted_texts: Sequence[str]
    trusted_vectors: Floats
    trusted_labels: Ints
    labels: int


def measure_label_noise(data: Path, seeds: Iterable[int]) -> list[dict[str, Any]]:
    """Rows of benchmark, seed, detector, precision, recall, f1, seconds.

    ``data``: the folder of the public data sets. Raises BadInput naming what is missing.
    """
    intents, questions = read_intents(data), read_questions(data)
    return [
        {"benchmark": benchmark, "seed": seed, "detector": name} | _measured(detector, rows)
        for seed in seeds
        for benchmark, rows in (
            ("uniform", flip_intents(intents, seed=seed, nearest=False)),
            ("nearest", flip_intents(intents, seed=seed, nearest=True)),
            ("trec_weak", take_questions(questions, seed=seed)),
        )
        for name, detector in DETECTORS.items()
    ]


def read_intents(data: Path) -> LabelledTexts:
    """The 30 most confusable intents of CLINC150's training part."""
    rows = _read(data / "clinc150" / "train.jsonl")
    examples = [Example(r["text"], r["label"]) for r in rows if r["label"] != "oos"]
    chosen = confusable_labels(examples, INTENTS)
    examples = [example for example in examples if example.label in chosen]
    return _embedded([e.text for e in examples], [e.label for e in examples], None)


def read_questions(data: Path) -> LabelledTexts:
    """The training part of TREC that has a weak label."""
    rows = [r for r in _read(data / "trec_weak" / "train.jsonl") if r["weak_label"]]
    return _embedded(
        [r["text"] for r in rows], [r["label"] for r in rows], [r["weak_label"] for r in rows]
    )


def flip_intents(rows: LabelledTexts, *, seed: int, nearest: bool) -> NoisyRows:
    """40 % of the labels flipped; the same rows for both kinds of flips."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows.right))
    rank = _rank_within_label(rows.right[order])
    trusted = order[rank < TRUSTED_AN_INTENT]
    judged = order[(rank >= TRUSTED_AN_INTENT) & (rank < TRUSTED_AN_INTENT + ROWS_AN_INTENT)]
    given = rows.right[judged].copy()
    flipped = rng.permutation(len(given))[: round(FLIPPED * len(given))]
    if nearest:
        near = _nearest_labels(rows)
        given[flipped] = near[given[flipped], rng.integers(NEAREST, size=len(flipped))]
    else:
        given[flipped] += rng.integers(1, rows.labels, size=len(flipped))
        given %= rows.labels
    return _noisy(rows, judged, given, trusted)


def take_questions(rows: LabelledTexts, *, seed: int) -> NoisyRows:
    """200 questions with their right labels, the others with the weak ones."""
    order = np.random.default_rng(seed).permutation(len(rows.right))
    trusted, judged = order[:TRUSTED_QUESTIONS], order[TRUSTED_QUESTIONS:]
    weak = rows.right if rows.weak is None else rows.weak
    return _noisy(rows, judged, weak[judged], trusted)


def ours(rows: NoisyRows) -> Flags:
    found = find_wrong_labels(
        rows.given,
        rows.vectors,
        rows.trusted_vectors,
        rows.trusted_labels,
        labels=rows.labels,
        texts=rows.texts,
        trusted_texts=rows.trusted_texts,
        seed=0,
    )
    return found.probability_wrong > 0.5


def cleanlab(rows: NoisyRows) -> Flags:
    """``find_label_issues`` by its defaults; the trusted rows are among those it learns from."""
    vectors = np.concatenate([rows.vectors, rows.trusted_vectors])
    labels = np.concatenate([rows.given, rows.trusted_labels])
    return _label_issues(vectors, labels)[: len(rows.given)]


def cleanlab_alone(rows: NoisyRows) -> Flags:
    """The same without trusted rows."""
    return _label_issues(rows.vectors, rows.given)


DETECTORS: dict[str, Callable[[NoisyRows], Flags]] = {
    "agent": ours,
    "cleanlab": cleanlab,
    "cleanlab without trusted rows": cleanlab_alone,
}


def _label_issues(vectors: Floats, labels: Ints) -> Flags:
    from cleanlab.filter import find_label_issues

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    probabilities: Any = cross_val_predict(
        LogisticRegression(max_iter=1000), vectors, labels, cv=folds, method="predict_proba"
    )
    found: Any = find_label_issues(labels, probabilities, n_jobs=1)
    return np.asarray(found, bool)


def _measured(detector: Callable[[NoisyRows], Flags], rows: NoisyRows) -> dict[str, float]:
    start = perf_counter()
    flagged = detector(rows)
    seconds = perf_counter() - start
    wrong = rows.given != rows.right
    hits = int((flagged & wrong).sum())
    precision, recall = hits / max(int(flagged.sum()), 1), hits / max(int(wrong.sum()), 1)
    return {
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / max(precision + recall, 1e-9), 4),
        "seconds": round(seconds, 2),
    }


def _nearest_labels(rows: LabelledTexts) -> Ints:
    """[labels, NEAREST]: the other labels whose mean embeddings are nearest by cosine."""
    means = np.stack([rows.vectors[rows.right == k].mean(axis=0) for k in range(rows.labels)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    near = means @ means.T
    np.fill_diagonal(near, -np.inf)
    return np.argsort(-near, axis=1)[:, :NEAREST]


def _rank_within_label(labels: Ints) -> Ints:
    """How many earlier rows have the same label."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - starts
    return rank


def _noisy(rows: LabelledTexts, judged: Ints, given: Ints, trusted: Ints) -> NoisyRows:
    return NoisyRows(
        texts=[rows.texts[at] for at in judged],
        vectors=rows.vectors[judged],
        given=given,
        right=rows.right[judged],
        trusted_texts=[rows.texts[at] for at in trusted],
        trusted_vectors=rows.vectors[trusted],
        trusted_labels=rows.right[trusted],
        labels=rows.labels,
    )


def _embedded(texts: list[str], right: list[str], weak: list[str] | None) -> LabelledTexts:
    """Each text once, so that no trusted text is judged too."""
    from shared.jobs.embed import load_base, read_texts

    first = {" ".join(text.casefold().split()): at for at, text in reversed([*enumerate(texts)])}
    kept = sorted(first.values())
    code = {label: number for number, label in enumerate(sorted({*right, *(weak or ())}))}
    distinct = tuple(texts[at] for at in kept)
    vectors, _ = read_texts(distinct, base=load_base(BASE_MODEL), deployed=None)
    return LabelledTexts(
        texts=distinct,
        vectors=vectors,
        right=np.array([code[right[at]] for at in kept], np.int64),
        weak=None if weak is None else np.array([code[weak[at]] for at in kept], np.int64),
        labels=len(code),
    )


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        raise BadInput(f"{file} is missing: name the folder of the public data sets with --data")
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
