"""Traces: what a deployed model was asked, what it answered, and what was judged of it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"


class VerdictSource(StrEnum):
    """Who judged, weakest first; a stronger source supersedes a weaker one (paper §1)."""

    EXACT_MATCH = "exact_match"
    FEEDBACK = "feedback"
    HUMAN = "human"

    @property
    def strength(self) -> int:
        return list(VerdictSource).index(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, where it came from, and the right output if it is known."""

    verdict: Verdict
    source: VerdictSource
    corrected: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class JudgedTrace:
    """A trace with its judgement, as diagnosis sees it. ``corrected`` is the right output."""

    id: str
    text: str
    output: str
    verdict: Verdict
    corrected: str
    source: VerdictSource
    confidence: float | None = None
