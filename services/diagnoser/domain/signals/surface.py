"""Rows without words to learn from: empty ones, gibberish, and encoding junk (which can be mended).

Gibberish is judged word by word against how this deployment spells: letter trigrams of its own
passing traffic, so that jargon, names and other languages are no gibberish where they are common.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from services.diagnoser.domain.signals.common_words import COMMON
from services.diagnoser.domain.signals.text_repair import repair_encoding
from shared.domain.triage import Evidence, Family

SIGNAL = "surface"

_NOTHING = re.compile(
    r"[\W_]*(?:n/?a|null|none|nil|undefined|nan|empty|blank|void|no (?:text|input|message|content)"
    r"|(?:image|photo|audio|video|file|attachment|document|sticker|gif|voice message)"
    r"(?: (?:omitted|attached|removed|deleted|not available))?|deleted|removed)?[\W_]*",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}|[bcdfghjklmnpqrstvwxz]{4,}$")
_REPEATED = re.compile(r"(.)\1{3,}|(.{2,4}?)\2{2,}|^(.{3,})\3$")
_ID = re.compile(r"(?=\w*\d)(?=\w*[a-z])\w{4,}")
_QUERTY = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "qazwsxedcrfvtgbyhnujmikolp")
_NEIGHBOURS = frozenset(
    pair for row in _QUERTY for a, b in pairwise(row) for pair in (a + b, b + a)
)
_JUNK_FROM = 0.5


def surface_evidence(
    texts: Sequence[str], ordinary: Sequence[str] = ()
) -> list[tuple[Evidence, ...]]:
    """For each text whether it is empty, gibberish, or junk that a decoder left.

    ``ordinary``: texts of this deployment that were answered rightly. Linear.
    """
    spelling = Spelling.of(ordinary)
    return [_of(text, spelling) for text in texts]


def _of(text: str, spelling: "Spelling") -> tuple[Evidence, ...]:
    repaired, wrong = repair_encoding(text)
    found: list[Evidence] = []
    if _NOTHING.fullmatch(repaired) and repaired.casefold().strip(" .!") not in spelling.whole:
        what = "no text" if not repaired else f"no words: “{repaired[:40]}”"
        return (Evidence(SIGNAL, Family.EMPTY, 0.98, what),)
    junk = spelling.junk(repaired)
    if junk >= _JUNK_FROM:
        probability = min(0.98, 0.6 + 0.4 * junk)
        detail = f"{junk:.0%} of its letters are in no word: “{repaired[:60]}”"
        found.append(Evidence(SIGNAL, Family.GIBBERISH, probability, detail))
    if wrong:
        found.append(Evidence(SIGNAL, Family.ENCODING, 0.9, "; ".join(wrong)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a deployment spells: its words, and letter trigrams with their log-probabilities.

    ``doubtful`` and ``strange`` are log-probabilities a letter below which a word unknown here is
    doubtful, and surely junk: quantiles of what words get that the trigrams have not seen.
    """

    words: frozenset[str]
    whole: frozenset[str]
    trigrams: dict[str, float]
    unseen: float
    doubtful: float
    strange: float

    @classmethod
    def of(cls, ordinary: Sequence[str]) -> "Spelling":
        counts = Counter(word for text in ordinary for word in _words(text))
        words = sorted(COMMON | counts.keys())
        # Two halves in turn: each scores the words that the other half has not seen.
        scores: list[float] = []
        for half in (0, 1):
            trigrams, unseen = _trigrams(words[half::2])
            scores += [_likelihood(w, trigrams, unseen) for w in words[1 - half :: 2] if len(w) > 3]
        doubtful, strange = np.quantile(scores, [0.06, 0.01]).tolist()
        trigrams, unseen = _trigrams(words)
        whole = frozenset(text.casefold().strip(" .!") for text in ordinary)
        return cls(frozenset(words), whole, trigrams, unseen, doubtful, strange)

    def junk(self, text: str) -> float:
        """The share of a text's signs, 0 to 1, that belong to no plausible word."""
        tokens = [(token.casefold(), self._oddness(token)) for token in _WORD.findall(text)]
        signs = sum(not (sign.isalnum() or sign.isspace() or sign in ".,?!'’") for sign in text)
        letters = sum(len(token) for token, _ in tokens)
        if letters + signs == 0:
            return 1.0
        odd = sum(len(token) * oddness for token, oddness in tokens)
        # Symbols count once there are many of them: an ordinary text has a few.
        return (odd + max(0, signs - 2)) / (letters + max(0, signs - 2) or 1)

    def _oddness(self, token: str) -> float:
        word = token.casefold().replace("’", "'")
        if word in self.words or word.isdigit() or not word.isascii():
            return 0.0
        if len(word) < 4:
            return 0.3 if any(sign in "aeiouy" or sign.isdigit() for sign in word) else 0.7
        if _REPEATED.search(word) or _mashed(word):
            return 1.0
        # A typo of a known word is a word.
        if "'" in word or "-" in word:
            return 0.0
        if _ID.fullmatch(word):
            return 0.8
        if _CONSONANTS.search(word) or not re.search("[aeiouy]", word):
            return 0.9
        likelihood = _likelihood(word, self.trigrams, self.unseen)
        if likelihood >= self.doubtful:
            return 0.0
        return 1.0 if likelihood < self.strange else 0.6


def _mashed(word: str) -> bool:
    """Whether most of a word's steps go to a neighbouring key."""
    steps = [a + b in _NEIGHBOURS or a == b for a, b in pairwise(word)]
    return len(steps) >= 3 and sum(steps) >= 0.75 * len(steps)


def _words(text: str) -> Iterable[str]:
    return (word.casefold().replace("’", "'") for word in _WORD.findall(text))


def _trigrams(words: Sequence[str]) -> tuple[dict[str, float], float]:
    """Log-probability of a letter after two others, add-a-little smoothed."""
    triples = Counter(
        padded[at : at + 3]
        for padded in (f"^^{word}$" for word in words)
        for at in range(len(padded) - 2)
    )
    pairs: Counter[str] = Counter()
    for triple, times in triples.items():
        pairs[triple[:2]] += times
    few, letters = 0.1, 30
    of = {
        triple: math.log((times + few) / (pairs[triple[:2]] + few * letters))
        for triple, times in triples.items()
    }
    return of, math.log(few / (5 + few * letters))


def _likelihood(word: str, trigrams: dict[str, float], unseen: float) -> float:
    padded = f"^^{word}$"
    steps = range(len(padded) - 2)
    return sum(trigrams.get(padded[at : at + 3], unseen) for at in steps) / len(steps)
