"""What the diagnoser needs of a store for traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.diagnoser.domain.calibration import Outcome
from services.diagnoser.domain.opinions import NotedOpinion
from shared.domain.traces import JudgedTrace, Judgement, Opinion, UnjudgedTrace
from shared.domain.triage import Family, TriageVerdict
from shared.events import FeedbackGiven, TraceLogged


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """What feedback must know of a trace before it may judge it."""

    id: str
    model: str
    model_version: int
    output: str
    judgement: Judgement | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """A human's word that a trace may be learned from."""

    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredTriage:
    """What triage said of a trace last, since when, and whether a human released it.

    ``diagnosis_id`` is the diagnosis that came to this verdict first; later ones that agreed with
    it changed nothing.
    """

    verdict: TriageVerdict
    diagnosis_id: str
    at: datetime
    release: Release | None = None


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """All that is known of one trace, for a person who asks."""

    trace: UnjudgedTrace
    model: str
    model_version: int
    metadata: Mapping[str, str]
    judgement: Judgement | None
    votes: tuple[Opinion, ...]
    triage: StoredTriage | None
    release: Release | None


@dataclass(frozen=True, slots=True)
class QuarantinedTrace:
    """A trace that is kept from training. ``corrected`` is what it would have taught."""

    id: str
    text: str
    output: str
    corrected: str | None
    triage: StoredTriage


@dataclass(frozen=True, slots=True)
class FailureCount:
    """New failures that can be learned from, and when the newest was judged."""

    new: int
    newest: datetime | None


class ModelEndpoint(Protocol):
    """Where a deployed model answers over HTTP."""

    async def outputs(self, texts: Mapping[str, str], *, version: int) -> Mapping[str, str]:
        """The answers of this version by the texts' ids. Raises TransientError and BadInput."""
        ...


class TraceStore(Protocol):
    """Traces with their judgements. All methods raise TransientError when the database is away."""

    async def add(
        self, traces: Sequence[tuple[TraceLogged, Judgement | None]], now: datetime
    ) -> int:
        """Store traces whose id is new; how many that were. A repeat changes nothing."""
        ...

    async def lookup(self, ids: Sequence[str]) -> Mapping[str, StoredTrace]:
        """The traces of these ids; unknown ids are left out."""
        ...

    async def judge(self, judgements: Mapping[str, Judgement], now: datetime) -> None:
        """Set the judgement of traces by id."""
        ...

    async def note(
        self, opinions: Sequence[NotedOpinion], known: Mapping[str, StoredTrace], now: datetime
    ) -> None:
        """Keep opinions of known traces; one whose id is there already adds nothing."""
        ...

    async def park(self, feedback: Sequence[FeedbackGiven], now: datetime) -> None:
        """Keep feedback whose trace has not come yet."""
        ...

    async def parked_for(self, trace_ids: Sequence[str]) -> Sequence[FeedbackGiven]:
        """Parked feedback of these traces, in the order it came."""
        ...

    async def parked(self) -> Sequence[tuple[FeedbackGiven, datetime]]:
        """All parked feedback with the time it came."""
        ...

    async def unpark(self, feedback_ids: Sequence[str]) -> None:
        """Forget parked feedback."""
        ...

    async def count_failures(
        self, model: str, version: int, since: datetime | None
    ) -> FailureCount:
        """Failures with a known right output, judged after ``since``."""
        ...

    async def failures(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        """The newest failures of a version whose right output is known."""
        ...

    async def passes(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        """The newest passing traces of a version."""
        ...

    async def count_passes(self, model: str, version: int) -> int:
        """How many traces of a version passed."""
        ...

    async def outcomes(self, model: str, version: int, limit: int) -> Sequence[Outcome]:
        """How the newest judged answers of a version turned out."""
        ...

    async def unjudged(self, model: str, version: int, limit: int) -> Sequence[UnjudgedTrace]:
        """The newest traces of a version that nobody judged."""
        ...

    async def human_words(self, model: str, limit: int) -> Sequence[JudgedTrace]:
        """The newest traces of any version whose right output a human named."""
        ...

    async def record_triage(
        self,
        verdicts: Mapping[str, TriageVerdict],
        *,
        model: str,
        diagnosis_id: str,
        now: datetime,
    ) -> None:
        """Keep the verdict of traces by id. A newer verdict stands, and so does any release.

        A repeat changes nothing, nor does a verdict that is the one already kept.
        """
        ...

    async def triage_of(self, trace_id: str) -> StoredTriage | None:
        """The last verdict of a trace; None when triage has not seen it."""
        ...

    async def release(self, trace_id: str, *, by: str, reason: str, now: datetime) -> None:
        """Take a trace out of quarantine for good; the first release stands.

        Raises UnknownThing when there is no such trace.
        """
        ...

    async def quarantined(
        self, model: str, limit: int, family: Family | None = None
    ) -> Sequence[QuarantinedTrace]:
        """Traces judged as poison that nobody released, newest verdicts first."""
        ...

    async def record(self, trace_id: str) -> TraceRecord | None:
        """Everything about one trace."""
        ...
