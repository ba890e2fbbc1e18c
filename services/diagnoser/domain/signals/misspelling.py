"""Words spelt wrongly or cut off, by the words that this deployment uses: symmetric deletes."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from services.diagnoser.domain.signals.common_words import COMMON
from services.diagnoser.domain.signals.reading import deletions, one_slip

_SUFFIXES = (
    "s",
    "es",
    "d",
    "ed",
    "ing",
    "er",
    "ers",
    "ly",
    "y",
    "r",
    "'s",
    "n",
    "al",
    "ies",
    "ion",
)
# How often trusted texts must use a word before something else is read as a slip of it.
_TRUSTED = 2
# How often they must use it where there is no dictionary.
_SURE = 4
# How many letters of a word may be cut off for it to be told.
_CUT = 3
_MISREAD = str.maketrans("0134578", "oieasta")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words with the number of trusted texts that use them, and an index of their deletions."""

    counts: Mapping[str, int]
    lexicon: Collection[str]
    forms: Mapping[str, Sequence[str]]
    beginnings: Mapping[str, Sequence[str]]
    # What each unknown word was found to mean: the words of a language are few, its texts many.
    answers: dict[str, str | None] = field(default_factory=dict[str, str | None], compare=False)

    @classmethod
    def of(cls, texts: Iterable[Iterable[str]], lexicon: Collection[str] = ()) -> "Vocabulary":
        """``texts`` as words in lower case. ``lexicon``: words never taken for slips."""
        counts = Counter(word for words in texts for word in set(words))
        forms: dict[str, list[str]] = defaultdict(list)
        for word, times in sorted(counts.items()):
            if (times >= _TRUSTED or word in COMMON) and len(word) >= 4 and word.isalpha():
                for form in _forms(word):
                    forms[form].append(word)
        for word in sorted(COMMON - counts.keys()):
            if len(word) >= 4 and word.isalpha():
                for form in _forms(word):
                    forms[form].append(word)
        cuts: dict[str, list[str]] = defaultdict(list)
        for word, times in sorted(counts.items()):
            for length in range(max(3, len(word) - _CUT), len(word)):
                if times >= _TRUSTED:
                    cuts[word[:length]].append(word)
        return cls(counts, lexicon, forms, cuts)

    def knows(self, word: str) -> bool:
        return word in self.counts or word in COMMON or word in self.lexicon

    def meant_by(self, word: str) -> str | None:
        """The one word that ``word`` is a slip of; None when it is a word, or nobody can tell."""
        if len(word) < 4 or self.knows(word):
            return None
        if word not in self.answers:
            self.answers[word] = self._nearest(word)
        return self.answers[word]

    def _nearest(self, word: str) -> str | None:
        if not word.isalpha():
            letters = word.translate(_MISREAD)
            return (
                letters if letters.isalpha() and self.counts.get(letters, 0) >= _TRUSTED else None
            )
        near = {known for form in _forms(word) for known in self.forms.get(form, ())}
        ranked = sorted(
            (_distance(word, known), -self.counts.get(known, 0), known)
            for known in near
            if not _inflected(word, known)
        )
        # Without a dictionary an unknown word may well be right: only the surest slips are told.
        slips, seen = (2 if len(word) >= 8 else 1, 0) if self.lexicon else (1, _SURE)
        ranked = [entry for entry in ranked if entry[0] <= slips and -entry[1] >= seen]
        if not ranked:
            return None
        # Two readings as near and as common: better none than a wrong one.
        if len(ranked) > 1 and ranked[1][0] == ranked[0][0] and -ranked[1][1] * 3 > -ranked[0][1]:
            return None
        return ranked[0][2]

    def whole_of(self, cut: str) -> str | None:
        """The one word that ``cut`` is the beginning of."""
        if len(cut) < 3 or self.knows(cut) or not cut.isalpha():
            return None
        longer = self.beginnings.get(cut, ())
        stems = {word.removesuffix("s") for word in longer}
        return min(longer, key=len) if len(stems) == 1 else None


def _forms(word: str) -> Iterable[str]:
    yield from deletions(word)
    if len(word) >= 8:
        for left, right in combinations(range(len(word)), 2):
            yield word[:left] + word[left + 1 : right] + word[right + 1 :]


def _inflected(word: str, known: str) -> bool:
    """Another form of the same word, or another word that rhymes: neither is a slip."""
    if word[0] != known[0] and word[:2] != known[1::-1]:
        return True
    longer, shorter = max(word, known, key=len), min(word, known, key=len)
    if any(longer == shorter + suffix for suffix in _SUFFIXES):
        return True
    stem = shorter.rstrip("sedry")
    return len(stem) >= 3 and longer.startswith(stem) and longer[len(stem) :] in _SUFFIXES


def _distance(left: str, right: str) -> int:
    """1 or 2 slips, 3 for more (optimal string alignment, cut off)."""
    if one_slip(left, right):
        return int(left != right)
    rows: list[list[int]] = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return min(rows[-1][-1], 3)
