"""Error patterns, failures that share a confusion and a meaning, and remedies (paper §2.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.triage import Family


class RootCause(StrEnum):
    """Why a pattern fails. ``unclear``: nothing to compare with, or no signal was strong enough."""

    SEMANTIC_OVERLAP = "semantic_overlap"
    SURFACE_OVERLAP = "surface_overlap"
    MISSING_SIGNAL = "missing_signal"
    COUNTER_INTUITIVE = "counter_intuitive"
    NOISE_FAMILY = "noise_family"
    WRONG_REFERENCE = "wrong_reference"
    UNCLEAR = "unclear"


class Character(StrEnum):
    """Whether the wrong answer is given too often, or the right one too seldom (§2.6 step 5)."""

    PRECISION = "precision"
    RECALL = "recall"


class Standing(StrEnum):
    """What probes on the deployed model said of a pattern (paper §2.6 step 3).

    ``spurious``: the model answers such inputs rightly. ``untested``: no probes, or too few to say.
    """

    CONFIRMED = "confirmed"
    SPURIOUS = "spurious"
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True)
class Confusion:
    """``count`` failures expected one label and were answered another."""

    expected: str
    predicted: str
    count: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What the inputs of a pattern look like.

    ``word_quartiles``: 25, 50 and 75 % of the members have at most so many words. ``questions``:
    share of members that ask. ``noisy``: share in which triage saw fixable noise, ``noise`` the
    share of each of its families, largest first.
    """

    word_quartiles: tuple[float, float, float]
    questions: float
    noisy: float = 0.0
    noise: tuple[tuple[Family, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """A cluster of failures.

    ``expected`` and ``predicted`` name the confused pair; ``predicted`` is None when failures of
    one expected label went to many places, and ``confusions`` counts where. ``members`` are trace
    ids, most typical first. ``share`` is the part of all failures, ``mean_words`` the mean input
    length. ``evidence`` says in words and figures why ``cause`` is what it is. ``covered``:
    share of members that lie among training rows of the right label. ``fixable`` is False when most
    members were triaged as nothing to learn from.
    """

    id: str
    name: str
    expected: str
    predicted: str | None
    members: tuple[str, ...]
    share: float
    mean_words: float
    examples: tuple[str, ...]
    confusions: tuple[Confusion, ...]
    shape: Shape
    character: Character
    cause: RootCause
    evidence: str
    covered: float = 0.0
    fixable: bool = True

    @property
    def size(self) -> int:
        return len(self.members)


class RemedyKind(StrEnum):
    """What to do about failures, cheapest first (paper §5.2.3); the last two mean training."""

    REFERENCE_LABELS = "reference_labels"
    CALIBRATION = "calibration"
    PROMPT_OR_SCHEMA = "prompt_or_schema"
    MORE_DATA = "more_data"
    MORE_CAPACITY = "more_capacity"

    @property
    def trains(self) -> bool:
        return self in (RemedyKind.MORE_DATA, RemedyKind.MORE_CAPACITY)

    @property
    def by_people(self) -> bool:
        """Whether only people can do it, so that a run would train on what they have to mend."""
        return self in (RemedyKind.REFERENCE_LABELS, RemedyKind.PROMPT_OR_SCHEMA)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One remedy and how many ``failures`` it is for; every failure counts for its cheapest one.

    ``patterns`` are the ids of the patterns it concerns, largest part first. ``reason`` gives the
    figures in plain words. ``biases``: for a calibration, what to add to the log-probability of a
    label.
    """

    kind: RemedyKind
    failures: int
    reason: str
    patterns: tuple[str, ...] = ()
    biases: tuple[tuple[str, float], ...] = ()


def left_to_people(remedies: Sequence[Remedy]) -> int:
    """How many failures are for people to remedy."""
    return sum(remedy.failures for remedy in remedies if remedy.kind.by_people)
