"""Fixable noise: what stands between a text and the clean request in it (paper §2.6 step 2).

Each kind of noise is a step from a text to a cleaner one. A step that would change 2 % of the
texts that are answered rightly cleans nothing that is dirty here, and is left out.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

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
    return [manner.clean(text) for text in texts]


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
        steps: tuple[tuple[Family, Step], ...] = (
            (Family.ENCODING, form_noise.encoding),
            (Family.METADATA, form_noise.metadata),
            (Family.MARKUP, form_noise.markup),
            (Family.VERBOSE, lambda text: (text, len(text.split()) > long)),
            (Family.PREAMBLE, lambda text: _changed(text, strip_preamble(text))),
            (Family.FORMAT_REQUEST, strip_format_request),
            (Family.PREAMBLE, lambda text: _changed(text, strip_preamble(text))),
            (Family.REPETITION, form_noise.repeated),
            (Family.CASING, lambda text: form_noise.casing(text, lower)),
            (Family.PUNCTUATION, form_noise.stops),
            (Family.SLANG, lambda text: word_noise.slang(text, vocabulary)),
            (Family.TRUNCATION, lambda text: word_noise.cut(text, vocabulary)),
            (Family.MISSPELLING, lambda text: word_noise.misspelt(text, vocabulary)),
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


def _changed(text: str, cleaner: str) -> tuple[str, bool]:
    return cleaner, cleaner != text.strip() and cleaner != text
