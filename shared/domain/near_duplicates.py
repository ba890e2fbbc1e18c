"""Which texts say nearly the same: all pairs of similar feature sets, without comparing all pairs.

Two texts are near-duplicates when their sets of words, or of their words' letter trigrams, have a
Jaccard similarity of at least the threshold (paper App. B: 0.8). Words catch an added or dropped
word, trigrams a misspelt one; neither heeds order, case or punctuation. A text of one or two words
has so few features that only an equal one reaches the threshold. What holds no word at all ("???")
equals only itself.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

import numpy as np

from shared.domain.set_join import group_similar, match_any
from shared.domain.similar_sets import Ints, Sets

THRESHOLD = 0.8

Features = Callable[[str], list[int]]

_WORD = re.compile(r"\w+")


def normalise(text: str) -> str:
    """The words in lower case with single spaces; a text without words keeps its other signs."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return " ".join(_WORD.findall(folded)) or " ".join(folded.split())


def group_near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[int]:
    """The group of each text, numbered by first appearance; transitive, so chains are one group."""
    _check(threshold)
    positions: dict[str, int] = {}
    place = [positions.setdefault(normalise(text), len(positions)) for text in texts]
    worded = _Worded.of(list(positions))
    kinds = [worded.sets(features) for features in _KINDS]
    first = group_similar(kinds, len(positions), threshold)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(int(first[at]), len(numbers)) for at in place]


class NearDuplicateIndex:
    """Answers whether a text is a near-duplicate of any of the texts it was built from."""

    def __init__(self, texts: Iterable[str], threshold: float = THRESHOLD) -> None:
        _check(threshold)
        self._threshold = threshold
        distinct = sorted({normalise(text) for text in texts})
        self._equal = frozenset(distinct)
        worded = _Worded.of(distinct)
        self._known = [(features, worded.sets(features)) for features in _KINDS]

    def matches(self, text: str) -> bool:
        """For many texts ``match_each`` is far faster."""
        return self.match_each([text])[0]

    def match_each(self, texts: Sequence[str]) -> list[bool]:
        """One answer for each text."""
        normal = [normalise(text) for text in texts]
        answer = np.array([text in self._equal for text in normal], bool)
        for features, known in self._known:
            open_ = np.flatnonzero(~answer)
            asked = _Worded.of([normal[at] for at in open_]).sets(features)
            answer[open_[match_any(asked, known, self._threshold)]] = True
        return answer.tolist()


def _check(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold}: must be above 0 and at most 1")


def _words(word: str) -> list[int]:
    return [int.from_bytes(blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest())]


def _trigrams(word: str) -> list[int]:
    padded = [ord(sign) for sign in f" {word} "]
    # A code point has 21 bits, so three of them are one exact code.
    return [a << 42 | b << 21 | c for a, b, c in zip(padded, padded[1:], padded[2:], strict=False)]


_KINDS: tuple[Features, ...] = (_words, _trigrams)


@dataclass(frozen=True, slots=True)
class _Worded:
    """Text ``i`` is ``vocabulary[words[starts[i] : starts[i + 1]]]``."""

    vocabulary: tuple[str, ...]
    words: Ints
    starts: Ints

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Worded":
        split = [text.split() for text in texts]
        number = {word: at for at, word in enumerate(dict.fromkeys(chain.from_iterable(split)))}
        flat = np.array([number[word] for words in split for word in words], np.int64)
        lengths = np.array([len(words) for words in split], np.int64)
        return cls(tuple(number), flat, np.r_[0, np.cumsum(lengths)])

    def sets(self, features: Features) -> Sets:
        """The features of each text's words, each once."""
        of_word = [features(word) for word in self.vocabulary]
        codes = np.fromiter(chain.from_iterable(of_word), np.uint64)
        widths = np.array([len(found) for found in of_word], np.int64)
        alphabet, member = np.unique(codes, return_inverse=True)
        width = widths[self.words]
        text = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        place = np.repeat(np.cumsum(widths)[self.words] - np.cumsum(width), width)
        column = member[place + np.arange(len(place))]
        # Sorted by hand: np.unique hashes, which takes ten times as long here.
        cells = np.sort(np.repeat(text, width) * max(1, len(alphabet)) + column)
        cells = cells[np.diff(cells, prepend=-1) > 0]
        texts, columns = np.divmod(cells, max(1, len(alphabet)))
        bounds = np.searchsorted(texts, np.arange(len(self.starts)))
        return Sets(alphabet, columns.astype(np.int32), bounds)
