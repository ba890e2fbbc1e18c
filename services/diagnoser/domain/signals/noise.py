"""Fixable noise: what stands between a text and the clean request in it (paper §2.6 step 2).

Each kind of noise is a step from a text to a cleaner one. A step that would change 2 % of the
texts that are answered rightly cleans nothing that is dirty here, and is left out.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from services.diagnoser.domain.signals import form_noise, word_noise
from services.diagnoser.domain.signals.fillers import strip_format_request, strip_preamble
from services.diagnoser.domain.signals.form_noise import WORD
from services.diagnoser.domain.signals.misspelling import Vocabulary
from services.diagnoser.domain.signals.word_noise import words_of
from shared.domain.triage import Evidence, Family

SIGNAL = "noise"

_USUAL_FROM = 0.02

# Families whose cleaned form is what the writer meant, as far as a reader can tell.
_PROBABILITY = {
    Family.ENCODING: 0.9,
    Family.METADATA: 0.9,
    Family.MARKUP: 0.9,
    Family.PREAMBLE: 0.85,
    Family.FORMAT_REQUEST: 0.85,
    Family.REPETITION: 0.8,
    Family.CASING: 0.8,
    Family.PUNCTUATION: 0.75,
    Family.SLANG: 0.75,
    Family.MISSPELLING: 0.75,
    Family.TRUNCATION: 0.6,
    Family.CODE_SWITCH: 0.7,
    Family.VERBOSE: 0.6,
}


@dataclass(frozen=True, slots=True)
class NoiseFinding:
    """The noise of one text, and the text without it; ``cleaned`` is None where not safe."""

    families: tuple[Family, ...] = ()
    cleaned: str | None = None


def find_noise(
    texts: Sequence[str], ordinary: Sequence[str] = (), *, lexicon: Collection[str] = ()
) -> list[NoiseFinding]:
    """The noise of each text. Linear in the number of texts.

    ``ordinary``: trusted texts of this deployment, which set what is usual and how words are
    spelt. ``lexicon``: further words that are spelt rightly, such as a dictionary.
    """
    words = Vocabulary.of((words_of(text) for text in ordinary), lexicon)
    manner = Manner.of(ordinary, words)
    of_text = {text: manner.clean(text) for text in dict.fromkeys(texts)}
    return [of_text[text] for text in texts]


def noise_evidence(findings: Sequence[NoiseFinding]) -> list[tuple[Evidence, ...]]:
    """The findings as evidence, one for each family."""
    return [
        tuple(
            Evidence(SIGNAL, family, _PROBABILITY[family], _detail(family, finding.cleaned))
            for family in finding.families
        )
        for finding in findings
    ]


def _detail(family: Family, cleaned: str | None) -> str:
    what = family.value.replace("_", " ")
    return f"{what}; without it: “{cleaned[:80]}”" if cleaned else what


Step = Callable[[str], tuple[str, bool]]
"""From a text to a cleaner one, and whether the noise was there."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a deployment's users write, and so which steps make sense."""

    steps: tuple[tuple[Family, Step], ...]

    @classmethod
    def of(cls, ordinary: Sequence[str], vocabulary: Vocabulary) -> "Manner":
        lengths = sorted(len(text.split()) for text in ordinary) or [0]
        long = max(40, 3 * lengths[int(0.95 * (len(lengths) - 1))])
        lower = sum(text.islower() for text in ordinary) * 2 > len(ordinary)

        def slang(text: str) -> tuple[str, bool]:
            return word_noise.slang(text, vocabulary)

        def misspelt(text: str) -> tuple[str, bool]:
            return word_noise.misspelt(text, vocabulary)

        # Asked twice in a row, mostly about the same text.
        @lru_cache(maxsize=1)
        def preamble(text: str) -> tuple[str, bool]:
            return _changed(text, strip_preamble(text))

        usual_words = _word_by_word(slang, misspelt)
        steps: tuple[tuple[Family, Step], ...] = (
            (Family.ENCODING, _unless(_PLAIN.fullmatch, form_noise.encoding)),
            (Family.METADATA, form_noise.metadata),
            (Family.MARKUP, _unless(_PLAIN.fullmatch, form_noise.markup)),
            (Family.VERBOSE, lambda text: (text, len(text.split()) > long)),
            (Family.PREAMBLE, preamble),
            (Family.FORMAT_REQUEST, strip_format_request),
            (Family.PREAMBLE, preamble),
            (Family.REPETITION, _unless(_each_word_once, form_noise.repeated)),
            (
                Family.CASING,
                _unless(_one_capital_first, lambda text: form_noise.casing(text, lower)),
            ),
            (Family.PUNCTUATION, form_noise.stops),
            (Family.SLANG, _unless(usual_words, slang)),
            (Family.TRUNCATION, lambda text: word_noise.cut(text, vocabulary)),
            (Family.MISSPELLING, _unless(usual_words, misspelt)),
            (Family.CODE_SWITCH, lambda text: word_noise.switched(text, vocabulary)),
        )
        usual = {
            family
            for family, step in steps
            if ordinary and sum(step(t)[1] for t in ordinary) >= _USUAL_FROM * len(ordinary)
        }
        return cls(tuple((family, step) for family, step in steps if family not in usual))

    def clean(self, text: str) -> NoiseFinding:
        families: dict[Family, None] = {}
        cleaned = text
        for family, step in self.steps:
            cleaner, seen = step(cleaned)
            if seen:
                families[family] = None
                cleaned = cleaner if cleaner.strip() else cleaned
        if not families:
            return NoiseFinding()
        safe = cleaned != text and len(WORD.findall(cleaned)) >= 2
        return NoiseFinding(tuple(families), cleaned if safe else None)


# Most texts are nothing but this. Every sign that a decoder or a machine leaves is missing in it.
_PLAIN = re.compile(r"[A-Za-z0-9 ',.?!]*")
_WORD_RUN = re.compile(r"\w+")


def _unless(moot: Callable[[str], object], step: Step) -> Step:
    """The step, for texts that may hold its noise; ``moot`` tells sooner that one cannot."""
    return lambda text: (text, False) if moot(text) else step(text)


def _one_capital_first(text: str) -> bool:
    """At most: that is how sentences begin."""
    return text[1:].islower()


def _each_word_once(text: str) -> bool:
    """Beyond ASCII two words may be one in ways that are not worth telling."""
    words = _WORD_RUN.findall(text.lower()) if text.isascii() else ()
    return len(words) > 0 and len(set(words)) == len(words)


def _word_by_word(*steps: Step) -> Callable[[str], bool]:
    """Whether the steps leave each word of a text alone: each is looked at once in its life.

    Only for steps that see single words, and leave alone in a text what they leave alone by itself:
    a capital within a text spares a word, never the opposite.
    """
    fine: set[str] = set()

    def untouched(text: str) -> bool:
        words = text.split()
        if not fine.issuperset(words):
            new = [word for word in words if word not in fine]
            fine.update(word for word in new if not any(step(word)[1] for step in steps))
        return fine.issuperset(words)

    return untouched


def _changed(text: str, cleaner: str) -> tuple[str, bool]:
    return cleaner, cleaner != text.strip() and cleaner != text
