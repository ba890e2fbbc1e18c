"""Poison: what makes the kept label wrong, or leaves no request at all (paper §3, Table 12)."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

import numpy as np
from scipy.optimize import brentq

from bench.adaptft import poison_phrases
from bench.adaptft.noise import in_style
from bench.adaptft.phrases import Phrases, Templates, filled
from examples.demo.workload import Example

# Table 12; scaled by one factor so that a stage has its share of rows with at least one.
POISON: dict[str, float] = {
    "label_flip": 0.03,
    "boundary_probe": 0.03,
    "false_premise": 0.03,
    "prompt_injection": 0.02,
    "cross_benchmark": 0.015,
    "jailbreak": 0.01,
    "off_domain": 0.03,
    "meta_question": 0.02,
    "assumed_context": 0.015,
    "verbatim_recall": 0.01,
    "gibberish": 0.007,
    "empty": 0.007,
}
INSTEAD: dict[str, Phrases] = {
    "cross_benchmark": poison_phrases.CROSS_BENCHMARK,
    "off_domain": poison_phrases.OFF_DOMAIN,
    "meta_question": poison_phrases.META_QUESTION,
    "assumed_context": poison_phrases.ASSUMED_CONTEXT,
    "verbatim_recall": poison_phrases.VERBATIM_RECALL,
}
AROUND: dict[str, Phrases] = {
    "false_premise": poison_phrases.FALSE_PREMISE,
    "jailbreak": poison_phrases.JAILBREAK,
    "prompt_injection": poison_phrases.PROMPT_INJECTION,
}
_EMPTY = ("", " ", "  ", "\n", "\t", ".", "...", "?", "-", "\u200b", "\u00a0", "''", "null", "N/A")
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|do|does|did|can|could|will|would|should|has|have|must)\b", re.IGNORECASE
)
_WISH = re.compile(r"\b(want|need|like|wish|try|plan|intend)\b", re.IGNORECASE)
_POLITE = re.compile(r"^(please|kindly|can you|could you|would you)\s+", re.IGNORECASE)
_WORD = re.compile(r"[a-z']{3,}")


def poison_rates(share: float) -> dict[str, float]:
    """The rates of all poison types whose union has the given probability."""

    def excess(factor: float) -> float:
        kept = math.prod(1 - min(1.0, factor * rate) for rate in POISON.values())
        return 1 - kept - share

    factor = cast("float", brentq(excess, 0.0, 30.0))
    return {name: factor * rate for name, rate in POISON.items()}


@dataclass(frozen=True, slots=True)
class KeyWords:
    """For each label the words that tell it from the others, and the labels most like it."""

    words: dict[str, dict[str, float]]
    nearest: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, rows: Sequence[Example]) -> "KeyWords":
        """Log-odds of a word in a label against the rest, weighed by how usual it is there."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            counts[row.label].update(set(_WORD.findall(row.text.lower())))
        sizes = Counter(row.label for row in rows)
        total, everywhere = len(rows), sum(counts.values(), Counter[str]())
        words = {
            label: {
                word: n / sizes[label] * _log_odds(n, sizes[label], everywhere[word], total)
                for word, n in sorted(found.items())
                if n >= 2
            }
            for label, found in sorted(counts.items())
        }
        return cls(words, _nearest(counts))

    def swapped(self, text: str, label: str, rng: Random) -> str:
        """One or two words that tell the label give way to words of a label like it."""
        own = self.words.get(label, {})
        telling = sorted(
            {word for word in _WORD.findall(text.lower()) if own.get(word, 0.0) > 0.1},
            key=lambda word: -own[word],
        )
        others = self.nearest.get(label, ())[:3]
        if not telling or not others:
            return text
        theirs = self.words[rng.choice(others)]
        ranked = sorted(theirs, key=lambda word: (-theirs[word], word))
        fresh = [word for word in ranked if own.get(word, 0.0) < 0.05][:6]
        for word in telling[: rng.choice((1, 2))]:
            if fresh:
                put = fresh.pop(rng.randrange(len(fresh)))
                text = re.sub(rf"\b{re.escape(word)}\b", put, text, flags=re.IGNORECASE)
        return text


def boundary_probe(
    text: str, label: str, rng: Random, templates: Templates, key_words: KeyWords
) -> str:
    """A negation or a swapped key word: near in words, another in meaning."""
    if rng.random() < 0.5:
        swapped = key_words.swapped(text, label, rng)
        if swapped != text:
            return swapped
    return negated(text, rng, templates)


def negated(text: str, rng: Random, templates: Templates) -> str:
    """The text denied, inside the sentence where there is a place for it."""
    ways: list[Callable[[], str]] = []
    if found := _POLITE.match(text):
        ways.append(lambda: rng.choice(("please do not ", "don't ")) + text[found.end() :])
    if _WISH.search(text):
        no = rng.choice(("don't", "no longer", "never"))
        ways.append(lambda: _WISH.sub(lambda m: f"{no} {m.group()}", text, count=1))
    if _AUXILIARY.search(text):
        ways.append(lambda: _AUXILIARY.sub(lambda m: f"{m.group()} not", text, count=1))
    frame = rng.choice(poison_phrases.NEGATION_FRAME.half(templates))
    ways.append(lambda: in_style(filled(frame, rng, text=text), text, rng))
    return rng.choice(ways)()


def gibberish(rng: Random) -> str:
    """Keys hit at random, shuffled letters, words without sense, signs."""
    way = rng.randrange(5)
    if way == 0:
        return "".join(rng.choice("asdfghjklqwer") for _ in range(rng.randint(6, 24)))
    if way == 1:
        letters = "abcdefghijklmnopqrstuvwxyz"
        sizes = [rng.randint(2, 9) for _ in range(rng.randint(2, 7))]
        return " ".join("".join(rng.choices(letters, k=size)) for size in sizes)
    if way == 2:
        return " ".join("".join(rng.choices("!@#$%^&*()_+{}[]|<>?;:~", k=rng.randint(2, 8))) * 2)
    if way == 3:
        unit = "".join(rng.choices("abdefghklmorstu", k=rng.randint(2, 4)))
        return unit * rng.randint(3, 8)
    parts = ("bl", "or", "zn", "ip", "qua", "ket", "mu", "tro", "vex", "ly", "ga", "sh")
    return " ".join(
        "".join(rng.choices(parts, k=rng.randint(1, 3))) for _ in range(rng.randint(3, 8))
    )


def empty(rng: Random) -> str:
    """Nothing, or nothing that means anything."""
    return rng.choice(_EMPTY)


def instead(name: str, like: str, rng: Random, templates: Templates) -> str:
    """A text of the named type in place of a request."""
    if name == "gibberish":
        return gibberish(rng)
    text = filled(rng.choice(INSTEAD[name].half(templates)), rng)
    return in_style(text, like, rng) if "\n" not in text else text


def around(name: str, text: str, label: str, rng: Random, templates: Templates) -> str:
    """The named type written around a request."""
    frame = rng.choice(AROUND[name].half(templates))
    if text == text.lower() and rng.random() < 0.5:
        frame = frame.lower()
    shown = label if rng.random() < 0.5 else label.replace("_", " ")
    return filled(frame, rng, text=text, label=shown)


def _log_odds(inside: int, size: int, everywhere: int, total: int) -> float:
    """Of a word's share of a label's rows against its share of all others, smoothed."""
    own = (inside + 0.5) / (size + 1)
    return math.log(own * (total - size + 1) / (everywhere - inside + 0.5))


def _nearest(counts: dict[str, Counter[str]]) -> dict[str, tuple[str, ...]]:
    """Labels by the cosine of their counts of words, rare words weighing more."""
    labels = sorted(counts)
    vocabulary = sorted(set().union(*counts.values()))
    matrix = np.array([[counts[label][word] for word in vocabulary] for label in labels], float)
    matrix = np.log1p(matrix) * np.log((1 + len(labels)) / (matrix > 0).sum(axis=0).clip(1))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True).clip(1e-9)
    similar = matrix @ matrix.T
    np.fill_diagonal(similar, -1)
    order = np.argsort(-similar, axis=1, kind="stable")[:, :-1]
    return {label: tuple(labels[at] for at in order[row]) for row, label in enumerate(labels)}
