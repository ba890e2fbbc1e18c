"""One row through all perturbation types, each rolled on its own (paper §3, Table 12).

What is lost or rewritten comes first, then poison, then what is put around a text. A type that
finds nothing to change leaves no flag: an empty message can have no typo.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bench.adaptft.answers import Answers
from bench.adaptft.noise import FIXABLE
from bench.adaptft.phrases import Templates
from bench.adaptft.poison import (
    AROUND,
    INSTEAD,
    POISON,
    KeyWords,
    around,
    boundary_probe,
    empty,
    instead,
)
from shared.domain.near_duplicates import NearDuplicateIndex

LABEL_FLIP = "label_flip"
NEAR_DUPLICATE, EXACT_COPY, RETRY_STORM = "near_duplicate", "exact_duplicate", "retry_storm"
REPETITION = {NEAR_DUPLICATE: 0.05, EXACT_COPY: 0.03, RETRY_STORM: 0.007}
FAMILIES = tuple(POISON) + tuple(FIXABLE) + tuple(REPETITION)
_EARLY = ("truncation", "syntax", "grammar")
_POLITE = ("please", "thanks", "now", "again", "today", "ok", "hi", "also", "then", "really")


@dataclass(frozen=True, slots=True)
class Perturbed:
    """The text as it came in, what is right to say of it, and the names of what was done to it."""

    text: str
    truth: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Perturber:
    """What perturbing a row needs besides the row.

    ``sort`` names what right answers have in common, as ``key_words`` do. ``rates``: probability by
    poison type.
    """

    templates: Templates
    answers: Answers
    sort: Callable[[str], str]
    key_words: KeyWords
    rates: Mapping[str, float]

    def perturbed(self, text: str, truth: str, rng: Random) -> Perturbed:
        """Noise that would take the answer out of the text is not done to it."""
        rolled = {name for name, rate in self.rates.items() if rng.random() < rate}
        noise = [name for name, (rate, _) in FIXABLE.items() if rng.random() < rate]
        flags = [name for name in (LABEL_FLIP,) if name in rolled]
        if "empty" in rolled:
            blank = empty(rng)
            return Perturbed(blank, self.answers.left(truth, text, blank), (*flags, "empty"))
        early = [name for name in noise if name in _EARLY]
        text, truth, done = self._noisy(text, truth, early, rng)
        before = text
        text, poisoned = self._poisoned(text, self.sort(truth), rolled, rng)
        truth = self.answers.left(truth, before, text)
        text, truth, late = self._noisy(
            text, truth, [name for name in noise if name not in _EARLY], rng
        )
        # What stands in place of the text took its early noise with it.
        kept = [] if any(name in (*INSTEAD, "gibberish") for name in poisoned) else done
        return Perturbed(text, truth, (*flags, *poisoned, *kept, *late))

    def _poisoned(
        self, text: str, sort: str, rolled: set[str], rng: Random
    ) -> tuple[str, list[str]]:
        done = [name for name in (*INSTEAD, "gibberish") if name in rolled]
        if done:
            text = " ".join(instead(name, text, rng, self.templates) for name in done)
        elif "boundary_probe" in rolled:
            text = boundary_probe(text, sort, rng, self.templates, self.key_words)
            done = ["boundary_probe"]
        for name in AROUND:
            if name in rolled:
                text = around(name, text, rng.choice(self.answers.asked_for), rng, self.templates)
                done.append(name)
        return text, done

    def _noisy(
        self, text: str, truth: str, names: Sequence[str], rng: Random
    ) -> tuple[str, str, list[str]]:
        done: list[str] = []
        for name in names:
            edited = FIXABLE[name][1](text, rng, self.templates)
            moved = self.answers.moved(truth, text, edited)
            if edited != text and moved is not None:
                text, truth = edited, moved
                done.append(name)
        return text, truth, done


def near_duplicate(text: str, rng: Random) -> str:
    """Another text whose words or trigrams have a Jaccard similarity of at least 0.8."""
    index = NearDuplicateIndex([text])
    for _ in range(12):
        edited = _edited(text, rng)
        if edited != text and index.matches(edited):
            return edited
    return text + rng.choice((".", "!", "?", " ", " ."))


def _edited(text: str, rng: Random) -> str:
    words = text.split(" ")
    way, at = rng.randrange(4), rng.randrange(len(words))
    if way == 0:
        words.insert(rng.choice((0, len(words))), rng.choice(_POLITE))
    elif way == 1 and len(words) > 4:
        del words[at]
    elif way == 2 and len(words[at]) > 4:
        words[at] = words[at][:-1]
    else:
        words[at] = words[at] + rng.choice(("s", ",", "!", "?"))
    return " ".join(words)
