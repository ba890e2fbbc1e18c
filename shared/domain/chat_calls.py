"""Calls to a chat model: what they may cost, what they did cost, and how they ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a thousand tokens, in whatever currency the budget is meant in."""

    prompt: float = 0.0
    completion: float = 0.0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1_000


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run may spend; ``money`` None leaves only the tokens to count."""

    tokens: int
    money: float | None = None

    def fits(self, tokens: int, money: float) -> bool:
        """Whether a run that spent so much in all has kept to it."""
        return tokens <= self.tokens and (self.money is None or money <= self.money)


class Outcome(StrEnum):
    """How a call ended."""

    OPEN = "open"
    ANSWERED = "answered"
    INVALID = "invalid"
    CUT_OFF = "cut_off"
    DECLINED = "declined"
    BUSY = "busy"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One request to the chat model, as the ledger keeps it.

    It is written as OPEN with what the call may cost, before it is made, so that a crash in the
    middle cannot lose money; then with what it did cost. ``answer`` is the JSON of a valid answer.
    """

    id: str
    run_id: str
    question_id: str
    subject: str
    prompt: str
    prompt_version: int
    model: str
    attempt: int
    at: datetime
    outcome: Outcome
    prompt_tokens: int
    completion_tokens: int
    cost: float
    latency_seconds: float = 0.0
    answer: str | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Meter:
    """What a run has spent and reserved, against its budget."""

    def __init__(self, budget: Budget, calls: Sequence[CallRecord]) -> None:
        self._budget = budget
        self.tokens = sum(call.tokens for call in calls)
        self.money = sum(call.cost for call in calls)

    def reserve(self, tokens: int, money: float) -> bool:
        """Take this much if the budget holds it; otherwise nothing changes."""
        if not self._budget.fits(self.tokens + tokens, self.money + money):
            return False
        self.tokens += tokens
        self.money += money
        return True

    def settle(self, reserved: CallRecord, actual: CallRecord) -> None:
        """Replace a reservation by what the call did cost."""
        self.tokens += actual.tokens - reserved.tokens
        self.money += actual.cost - reserved.cost
