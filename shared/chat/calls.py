"""One call to the chat model: reserved and recorded before it is made, settled afterwards."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Generic

from pydantic import ValidationError

from shared.chat.ports import (
    CallLedger,
    ChatCall,
    ChatModel,
    ChatRejected,
    ChatReply,
    ChatUnavailable,
)
from shared.domain.chat import A, Question
from shared.domain.chat_calls import Budget, CallRecord, Meter, Outcome, Prices
from shared.domain.ids import derive_id
from shared.ports import Clock

logger = logging.getLogger(__name__)

# What may go better at another try; a refusal to answer or to take the request will not.
_RETRIED = frozenset(
    {
        Outcome.INVALID,
        Outcome.CUT_OFF,
        Outcome.BUSY,
        Outcome.SERVER_ERROR,
        Outcome.UNREACHABLE,
        Outcome.TIMEOUT,
    }
)
# An answer that was cut off may grow to so many times the prompt's limit.
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Tried(Generic[A]):
    """How one call went. ``objection`` tells the model what was wrong with its answer."""

    outcome: Outcome
    answer: A | None = None
    retry_after: float | None = None
    objection: str = ""

    @property
    def worth_repeating(self) -> bool:
        return self.outcome in _RETRIED


class Calls:
    """The calls of one run: what they spent, what they answered, and whether more may be made.

    ``away`` says why the server gave no reply to the last call; empty when it gave one.
    """

    def __init__(
        self,
        model: ChatModel,
        ledger: CallLedger,
        clock: Clock,
        *,
        run_id: str,
        budget: Budget,
        prices: Prices,
        before: Sequence[CallRecord],
    ) -> None:
        self._model = model
        self._ledger = ledger
        self._clock = clock
        self._run_id = run_id
        self._prices = prices
        self._made = Counter(call.question_id for call in before)
        self._answers = {
            call.question_id: call.answer
            for call in before
            if call.answer is not None and call.model == model.name
        }
        self.meter = Meter(budget, before)
        self.stopped_because = ""
        self.away = ""

    def stop(self, reason: str) -> None:
        """Make no more calls; the first reason stands."""
        self.stopped_because = self.stopped_because or reason

    def known(self, question: Question[A]) -> A | None:
        """The answer that an earlier call of this run got."""
        answer = self._answers.get(question.id)
        try:
            return None if answer is None else question.parse(answer)
        except ValidationError:
            return None

    async def make(
        self, question: Question[A], attempt: int, last: Tried[A] | None
    ) -> Tried[A] | None:
        """Ask once, mending what was wrong last time; None when no call may be made any more."""
        call = _phrase(question, attempt, last)
        opened = None if self.stopped_because else await self._open(question, call.max_tokens)
        if opened is None:
            return None
        began = perf_counter()
        tried, reply = await self._complete(question, call)
        closed = replace(
            self._cost(opened, tried.outcome, reply),
            latency_seconds=round(perf_counter() - began, 3),
            answer=None if tried.answer is None else tried.answer.model_dump_json(),
        )
        self.meter.settle(opened, closed)
        await self._ledger.close(closed)
        return tried

    async def _open(self, question: Question[Any], completion_tokens: int) -> CallRecord | None:
        """Reserve what the call may cost, in meter and ledger; None when it does not fit."""
        prompt_tokens = question.estimate()
        cost = self._prices.cost(prompt_tokens, completion_tokens)
        if not self.meter.reserve(prompt_tokens + completion_tokens, cost):
            self.stop("the token or money budget of the run is spent")
            return None
        while True:
            # A number that another process took is passed over.
            self._made[question.id] += 1
            number = self._made[question.id]
            record = CallRecord(
                id=derive_id("chat-call", self._run_id, question.id, number),
                run_id=self._run_id,
                question_id=question.id,
                subject=question.subject,
                prompt=question.prompt.name,
                prompt_version=question.prompt.version,
                model=self._model.name,
                attempt=number,
                at=self._clock(),
                outcome=Outcome.OPEN,
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                cost=cost,
            )
            if await self._ledger.open(record):
                return record

    async def _complete(
        self, question: Question[A], call: ChatCall
    ) -> tuple[Tried[A], ChatReply | None]:
        name = question.prompt.name
        try:
            reply = await self._model.complete(call)
        except ChatUnavailable as error:
            logger.warning("chat model, %s: %s", name, error)
            self.away = str(error)
            return Tried(error.outcome, retry_after=error.retry_after), None
        except ChatRejected as error:
            logger.error("chat model, %s: %s", name, error)
            if error.every:
                self.stop("the server refuses every request")
            return Tried(Outcome.REJECTED), None
        self.away = ""
        if reply.outcome is not Outcome.ANSWERED:
            return Tried(reply.outcome), reply
        try:
            return Tried(Outcome.ANSWERED, answer=question.parse(reply.text)), reply
        except ValidationError as error:
            return Tried(Outcome.INVALID, objection=_objection(error)), reply

    def _cost(self, opened: CallRecord, outcome: Outcome, reply: ChatReply | None) -> CallRecord:
        """What the call cost; where nobody says, what was reserved for it."""
        asked, answered = opened.prompt_tokens, opened.completion_tokens
        if reply is not None:
            asked = asked if reply.prompt_tokens is None else reply.prompt_tokens
            answered = answered if reply.completion_tokens is None else reply.completion_tokens
        elif outcome is not Outcome.TIMEOUT:
            # Only of a call that was silent for too long may something have been charged.
            asked = answered = 0
        return replace(
            opened,
            outcome=outcome,
            prompt_tokens=asked,
            completion_tokens=answered,
            cost=self._prices.cost(asked, answered),
        )


def _phrase(question: Question[Any], attempt: int, last: Tried[Any] | None) -> ChatCall:
    """The same request would get the same answer: another seed, more room, or what was wrong."""
    longer = last is not None and last.outcome is Outcome.CUT_OFF
    growth = min(2 ** (attempt - 1), _GROWTH) if longer else 1
    objection = f"\n\n{last.objection}" if last is not None and last.objection else ""
    return ChatCall(
        system=question.system,
        user=question.user + objection,
        schema_name=question.prompt.name.replace("-", "_"),
        schema=question.schema(),
        max_tokens=question.prompt.max_tokens * growth,
        seed=attempt,
    )


def _objection(error: ValidationError) -> str:
    """What was wrong, without a word of the answer: it may hold what a trace told the model."""
    first = error.errors(include_input=False, include_url=False)[0]
    if first["type"] == "extra_forbidden":
        return "Your last answer was refused: it had fields that the schema does not have."
    place = ".".join(str(part) for part in first["loc"])
    at = f" at {place}" if place else ""
    return f"Your last answer was refused{at}: {first['msg'].removeprefix('Value error, ')}."
