"""What asking needs from the world: a chat model, and a ledger of the calls to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.domain.chat_calls import CallRecord, Outcome
from shared.errors import PermanentError, TransientError


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One request: who answers how, what is asked, and the shape of the answer."""

    system: str
    user: str
    schema_name: str
    schema: dict[str, Any]
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What came back. Token counts are None when the server does not count.

    ``outcome`` is ANSWERED for text that ended by itself, CUT_OFF for text that ran into
    ``max_tokens``, DECLINED when the model or a filter would not answer.
    """

    text: str
    outcome: Outcome
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ChatUnavailable(TransientError):
    """No answer this time; ``retry_after`` is in seconds, if the server named a time."""

    def __init__(self, message: str, *, outcome: Outcome, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.retry_after = retry_after


class ChatRejected(PermanentError):
    """The server will not take this request; with ``every``, none at all (key, address, model)."""

    def __init__(self, message: str, *, every: bool) -> None:
        super().__init__(message)
        self.every = every


class ChatModel(Protocol):
    """A chat model behind some server."""

    @property
    def name(self) -> str:
        """The model's name, for the record."""
        ...

    async def complete(self, call: ChatCall) -> ChatReply:
        """One request, one reply, no retries. Raises ChatUnavailable, ChatRejected."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class CallLedger(Protocol):
    """Every call ever made. All methods raise TransientError when the database is away."""

    async def calls(self, run_id: str) -> Sequence[CallRecord]:
        """The calls made for one run."""
        ...

    async def open(self, call: CallRecord) -> bool:
        """Record a call before it is made; False when another process made one of this id."""
        ...

    async def close(self, call: CallRecord) -> None:
        """Record how a call that was opened ended."""
        ...
