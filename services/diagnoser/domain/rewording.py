"""Other ways to say the same, learned from right answers alone: no chat model, no word lists.

What can stand in for what is read off texts of one label: two openings that go on alike, two words
that stand between the same neighbours. Only politeness is known beforehand.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from shared.domain.near_duplicates import normalise
from shared.domain.rows import Row

Words = tuple[str, ...]

_LONGEST_OPENING = 5
# One word, such as "change", is often the request itself.
_SHORTEST_OPENING = 2
# Words of more labels than this share hold a sentence together: replacing one breaks it.
_FUNCTION = 0.25
# Of the contexts of the rarer phrase, at least this share must suit the other one too.
_EXCHANGEABLE = 0.1
_HEAD = 2
# Seen alike in one context is chance, in two a habit.
_ALIKE = 2
_SEEN = 3
# A context that everything fits into says nothing, and its pairs would cost the square.
_OPENINGS_OF_A_CONTEXT = 24
# An opening that many labels have asks for none of them.
_GENERIC = 5
_DENIALS = frozenset({"no", "not", "never", "none", "without", "dont", "doesnt", "cant", "wont"})
_POLITE_OPENINGS = (
    "hi|hello|hey|excuse me|good morning|good evening|i was wondering if|i wonder if|"
    "(?:can|could|would|will) you|i (?:would|d) like (?:you )?to|id like (?:you )?to|"
    "i need (?:you )?to|i want (?:you )?to"
)
_POLITENESS = re.compile(
    rf"^(?:(?:{_POLITE_OPENINGS})(?: |$))+|(?:^| )(?:please|pls|kindly|thank you|thanks|thx)(?= |$)"
)


def plainer(words: Words) -> Words | None:
    """The words without politeness; None when there was none."""
    bare = tuple(_POLITENESS.sub("", " ".join(words)).split())
    return None if bare == words else bare


class Wording:
    """What can stand in for what in texts whose right label is known."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._said: dict[str, Counter[str]] = defaultdict(Counter)
        self._labels_of: dict[Words, set[str]] = defaultdict(set)
        self._texts: dict[str, list[Words]] = defaultdict(list)
        for row in rows:
            words = tuple(normalise(row.text).split())
            self._texts[row.target].append(words)
            self._said[row.target].update(set(words))
            for opening in _openings(words):
                self._labels_of[opening].add(row.target)
        self._spread = Counter(word for said in self._said.values() for word in said)
        self._openings = self._interchangeable(self._opening_contexts())
        self._fillers = self._interchangeable(self._filler_contexts())

    def with_other_opening(self, words: Words, label: str, rng: random.Random) -> Words | None:
        """The words after another opening; the longest one that can be exchanged is."""
        for opening in reversed(_openings(words)):
            found = [o for o in self._openings.get(opening, ()) if self._fits(o, label)]
            if found:
                return rng.choice(found) + words[len(opening) :]
        return None

    def with_other_word(
        self, words: Words, label: str, rng: random.Random, *, rival: str | None = None
    ) -> Words | None:
        """The words with one replaced by a synonym or another filler of the same slot.

        No word is taken that texts of the ``rival`` label say oftener.
        """
        others = {at: self._others(word, label, rival) for at, word in enumerate(words)}
        places = [at for at, found in others.items() if found]
        if not places:
            return None
        at = rng.choice(places)
        return (*words[:at], rng.choice(others[at]), *words[at + 1 :])

    def spliced(self, words: Words, label: str, rng: random.Random) -> Words | None:
        """The words up to a pair of words that another text of the label has, then its end."""
        places = {words[at : at + 2]: at for at in range(1, len(words) - 1)}
        ends = [
            words[: places[other[at : at + 2]]] + other[at:]
            for other in rng.sample(self._texts[label], min(64, len(self._texts[label])))
            for at in range(len(other) - 2)
            if other[at : at + 2] in places
        ]
        return rng.choice(ends) if ends else None

    def longer(self, words: Words, label: str, rng: random.Random) -> Words | None:
        """The words after one or two other texts of the same label."""
        others = [text for text in self._texts[label] if text and text != words]
        if not others:
            return None
        before = rng.sample(others, min(2, len(others)))
        return tuple(word for text in before for word in text) + words

    def _others(self, word: str, label: str, rival: str | None) -> list[str]:
        if word.isdigit():
            return [str((int(word[-4:]) * 7 + 3) % 10 ** min(len(word), 4))]
        found = [w for (w,) in self._fillers.get((word,), ()) if self._said[label][w]]
        return [w for w in found if not rival or self._share(w, label) >= self._share(w, rival)]

    def _share(self, word: str, label: str) -> float:
        return self._said[label][word] / max(len(self._texts[label]), 1)

    def _fits(self, opening: Words, label: str) -> bool:
        labels = self._labels_of[opening]
        return label in labels or len(labels) >= _GENERIC

    def _opening_contexts(self) -> Iterator[tuple[Words, Words]]:
        for label, texts in self._texts.items():
            for words in texts:
                for opening in _openings(words):
                    length = len(opening)
                    yield opening, (label, *words[length : length + _HEAD])

    def _filler_contexts(self) -> Iterator[tuple[Words, Words]]:
        for label, texts in self._texts.items():
            for words in texts:
                for at in range(1, len(words) - 1):
                    if self._has_content(words[at]):
                        yield words[at : at + 1], (label, words[at - 1], words[at + 1])

    def _has_content(self, word: str) -> bool:
        most = max(2.0, _FUNCTION * len(self._texts))
        return not word.isdigit() and word not in _DENIALS and self._spread[word] <= most

    def _interchangeable(
        self, uses: Iterable[tuple[Words, Words]]
    ) -> Mapping[Words, Sequence[Words]]:
        """For each phrase those that occur in ``_ALIKE`` contexts with it, sorted."""
        of_context: dict[Words, Counter[Words]] = defaultdict(Counter)
        seen: Counter[Words] = Counter()
        contexts_of: Counter[Words] = Counter()
        for phrase, context in uses:
            of_context[context][phrase] += 1
            seen[phrase] += 1
            contexts_of[phrase] += of_context[context][phrase] == 1
        shared: Counter[tuple[Words, Words]] = Counter()
        for phrases in of_context.values():
            known = sorted(
                (p for p in phrases if seen[p] >= _SEEN), key=lambda p: (-phrases[p], p)
            )[:_OPENINGS_OF_A_CONTEXT]
            shared.update(combinations(sorted(known), 2))
        alike: dict[Words, set[Words]] = defaultdict(set)
        for (one, other), contexts in shared.items():
            rarer = min(contexts_of[one], contexts_of[other])
            if contexts >= max(_ALIKE, _EXCHANGEABLE * rarer):
                alike[one].add(other)
                alike[other].add(one)
        return {phrase: sorted(others) for phrase, others in alike.items()}


def _openings(words: Words) -> list[Words]:
    """How a text may be said to begin, shortest first; something must follow."""
    longest = min(_LONGEST_OPENING, len(words) - _HEAD)
    return [words[:length] for length in range(_SHORTEST_OPENING, longest + 1)]
