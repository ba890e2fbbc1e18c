"""Traces: what a deployed model was asked, what it answered, and what was judged of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

MAX_OPINIONS = 8
MAX_VOTES = 32


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"


class VerdictSource(StrEnum):
    """Who judged, weakest first; a stronger source supersedes a weaker one (paper §1)."""

    CHAT = "chat"
    EXACT_MATCH = "exact_match"
    FEEDBACK = "feedback"
    HUMAN = "human"

    @property
    def strength(self) -> int:
        # Stored with every judgement: a weaker source that comes later must not renumber others.
        return list(VerdictSource).index(self) - 1


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, where it came from, and the right output if it is known."""

    verdict: Verdict
    source: VerdictSource
    corrected: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one voice says is the right output; ``corrector`` is None where nobody signed."""

    answer: str
    source: VerdictSource
    corrector: str | None = None


@dataclass(frozen=True, slots=True)
class JudgedTrace:
    """A trace with its judgement, as diagnosis sees it. ``corrected`` is the right output.

    ``opinions`` are the distinct right outputs that anybody named, the standing one first, at most
    ``MAX_OPINIONS``; ``votes`` tell who named them, and are empty while nobody but the standing
    judgement spoke. ``released``: a human took it out of quarantine, so no signal may put it back.
    """

    id: str
    text: str
    output: str
    verdict: Verdict
    corrected: str
    source: VerdictSource
    confidence: float | None = None
    occurred_at: datetime | None = None
    opinions: tuple[str, ...] = ()
    votes: tuple[Opinion, ...] = ()
    released: bool = False
    # A mapping has no hash; the other fields tell two traces apart.
    metadata: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)


@dataclass(frozen=True, slots=True)
class UnjudgedTrace:
    """A trace that nobody has judged yet."""

    id: str
    text: str
    output: str
    confidence: float | None = None
    occurred_at: datetime | None = None
