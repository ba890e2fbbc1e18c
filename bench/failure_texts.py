"""Failing requests in any number: real queries recombined so that most of them are new texts.

Two queries of one intent are spliced at a word they share, words are replaced by others that follow
the same word elsewhere, digits are drawn anew, openings come from other queries, letters are
mistyped. A share of the rows repeats an earlier one with a small edit, as retries do.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.domain.near_duplicates import normalise
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource

NEAR_DUPLICATES = 0.05
WRONG = 0.1
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NEAREST = 4
_TO_NEAREST = 0.8
_OUT_OF_SCOPE = "oos"


@dataclass(frozen=True, slots=True)
class Query:
    words: tuple[str, ...]
    label: str


def read_queries(files: Iterable[Path]) -> list[Query]:
    """``text`` and ``label`` of JSONL files; empty texts and out-of-scope queries are left out."""
    found: list[Query] = []
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            words = tuple(str(row["text"]).split())
            if words and row["label"] != _OUT_OF_SCOPE:
                found.append(Query(words, str(row["label"])))
    return found


def make_traces(
    queries: Sequence[Query], count: int, *, verdict: Verdict, seed: int
) -> list[JudgedTrace]:
    """Judged traces with fresh texts; a failure's output is mostly one of the nearest labels.

    ``WRONG`` of the failures were corrected to a label that is wrong too.
    """
    rng = random.Random(f"{seed} {verdict} outputs")
    near = nearest_labels(queries)
    labels = sorted(near)
    found: list[JudgedTrace] = []
    for at, (text, label) in enumerate(_texts(queries, count, seed=f"{seed} {verdict}")):
        output = label
        while verdict is Verdict.FAIL and output == label:
            output = rng.choice(near[label] if rng.random() < _TO_NEAREST else labels)
        wrong = verdict is Verdict.FAIL and rng.random() < WRONG
        found.append(
            JudgedTrace(
                f"{verdict}-{at:07d}",
                text,
                output,
                verdict,
                rng.choice(labels) if wrong else label,
                VerdictSource.FEEDBACK,
                round(rng.betavariate(4, 2), 4),
            )
        )
    return found


def nearest_labels(queries: Sequence[Query]) -> dict[str, list[str]]:
    """For each label those whose words are most alike, nearest first."""
    texts: dict[str, list[str]] = defaultdict(list)
    for query in queries:
        texts[query.label].append(" ".join(query.words))
    labels = sorted(texts)
    documents = [" ".join(texts[label]) for label in labels]
    vectors: Any = TfidfVectorizer(sublinear_tf=True).fit_transform(documents)
    alike = np.asarray((vectors @ vectors.T).todense())
    np.fill_diagonal(alike, -1.0)
    order = np.argsort(-alike, axis=1, kind="stable")[:, :_NEAREST]
    return {label: [labels[at] for at in row] for label, row in zip(labels, order, strict=True)}


def _texts(queries: Sequence[Query], count: int, *, seed: str) -> Iterator[tuple[str, str]]:
    """(text, label), nearly all different; ``NEAR_DUPLICATES`` of them close to an earlier one."""
    rng = random.Random(seed)
    recombine = _Recombiner(queries, rng)
    seen: set[str] = set()
    made: list[tuple[str, str]] = []
    while len(made) < count:
        if made and rng.random() < NEAR_DUPLICATES:
            text, label = rng.choice(made)
            made.append((_retried(text, rng), label))
            yield made[-1]
            continue
        query = recombine()
        text = " ".join(query.words)
        if (key := normalise(text)) not in seen:
            seen.add(key)
            made.append((text, query.label))
            yield made[-1]


class _Recombiner:
    """Each call gives a new query out of the given ones."""

    def __init__(self, queries: Sequence[Query], rng: random.Random) -> None:
        self._queries, self._rng = queries, rng
        self._of_label: dict[str, list[Query]] = defaultdict(list)
        self._after: dict[str, list[str]] = defaultdict(list)
        for query in queries:
            self._of_label[query.label].append(query)
            for word, after in zip(query.words, query.words[1:], strict=False):
                self._after[word].append(after)

    def __call__(self) -> Query:
        rng = self._rng
        query = rng.choice(self._queries)
        words = list(query.words)
        if rng.random() < 0.6:
            words = self._spliced(words, rng.choice(self._of_label[query.label]).words)
        for _ in range(1 + int(rng.expovariate(1.5) + len(words) / 12)):
            words = self._replaced(words)
        if rng.random() < 0.15:
            words = [*rng.choice(self._queries).words[: rng.randint(2, 4)], *words]
        if rng.random() < 0.12:
            words = _mistyped(words, rng)
        return Query(tuple(_other_digits(word, rng) for word in words), query.label)

    def _spliced(self, words: list[str], other: Sequence[str]) -> list[str]:
        shared = [at for at, word in enumerate(words) if word in other[1:] and at]
        if not shared:
            return words
        at = self._rng.choice(shared)
        return [*words[:at], *other[other.index(words[at]) :]]

    def _replaced(self, words: list[str]) -> list[str]:
        at = self._rng.randrange(len(words))
        choices = self._after[words[at - 1]] if at else ()
        return [*words[:at], self._rng.choice(choices), *words[at + 1 :]] if choices else words


def _retried(text: str, rng: random.Random) -> str:
    """What is sent when the first try failed: the same, in another case, mistyped, or urged."""
    how = rng.randrange(4)
    if how == 0:
        return rng.choice([text.upper(), text.capitalize(), f"{text}!!", f"{text} ?"])
    if how == 1:
        return " ".join(_mistyped(text.split(), rng))
    return rng.choice([f"please {text}", f"{text} please", f"hi {text}", f"{text} now", text])


def _mistyped(words: list[str], rng: random.Random) -> list[str]:
    at = max(range(len(words)), key=lambda i: (len(words[i]) > 3, rng.random()))
    word = words[at]
    cut = rng.randrange(len(word))
    inside = rng.choice(["", rng.choice(_LETTERS), word[cut] * 2])
    return [*words[:at], word[:cut] + inside + word[cut + 1 :] or word, *words[at + 1 :]]


def _other_digits(word: str, rng: random.Random) -> str:
    return "".join(str(rng.randrange(10)) if sign.isdigit() else sign for sign in word)
