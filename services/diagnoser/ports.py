"""What the diagnoser needs of a store for traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.traces import JudgedTrace, Judgement
from shared.events import FeedbackGiven, TraceLogged


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """What feedback must know of a trace before it may judge it."""

    id: str
    model: str
    output: str
    judgement: Judgement | None


@dataclass(frozen=True, slots=True)
class FailureCount:
    """New failures that can be learned from, and when the newest was judged."""

    new: int
    newest: datetime | None


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
