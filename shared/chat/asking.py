"""Asks a chat model typed questions, within the budget of the run and with patience."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from shared.chat.calls import Calls, Tried
from shared.chat.ports import CallLedger, ChatModel
from shared.domain.chat import A, Question
from shared.domain.chat_calls import Budget, Prices
from shared.errors import TransientError
from shared.ports import Clock

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]
# So many questions in a row without an answer: the others would fare no better.
_HOPELESS = 5


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a question is asked at most, and how long to wait in between."""

    attempts: int = 4
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0

    def wait(self, failed: int, retry_after: float | None, jitter: float) -> float:
        """Seconds to wait after so many failed tries; ``jitter`` is 0 to 1."""
        doubled = self.first_wait_seconds * 2 ** (failed - 1) * (0.5 + jitter)
        return min(max(doubled, retry_after or 0.0), self.longest_wait_seconds)


class Chat:
    """Questions to one chat model. What the ledger can answer is not asked again."""

    def __init__(
        self,
        model: ChatModel,
        ledger: CallLedger,
        *,
        clock: Clock,
        budget: Budget,
        prices: Prices,
        concurrency: int = 4,
        retries: RetryPolicy | None = None,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._model = model
        self._ledger = ledger
        self._clock = clock
        self._budget = budget
        self._prices = prices
        self._slots = asyncio.Semaphore(concurrency)
        self._retries = retries or RetryPolicy()
        self._sleep = sleep
        self._jitter = jitter
        self._told: set[tuple[str, str]] = set()

    @property
    def model(self) -> str:
        """The name of the model that answers."""
        return self._model.name

    async def ask(
        self, questions: Sequence[Question[A]], *, run_id: str, needed: bool = False
    ) -> list[A | None]:
        """An answer for each question, or None: no budget, no server, or no valid answer.

        Raises TransientError when the ledger cannot be reached, and where answers are ``needed``
        also when the server was away: what it answered until then is in the ledger.
        """
        if not questions:
            return []
        calls = await self._calls(run_id)
        sitting = _Sitting(calls)
        tasks = [asyncio.ensure_future(self._answer(each, sitting)) for each in questions]
        try:
            answers = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._tell(run_id, calls, answers)
        if needed and calls.away and None in answers:
            raise TransientError(f"the chat model's server is away: {calls.away}")
        return answers

    async def aclose(self) -> None:
        """Close the connections to the model."""
        await self._model.aclose()

    async def _calls(self, run_id: str) -> Calls:
        return Calls(
            self._model,
            self._ledger,
            self._clock,
            run_id=run_id,
            budget=self._budget,
            prices=self._prices,
            before=await self._ledger.calls(run_id),
        )

    async def _answer(self, question: Question[A], sitting: "_Sitting") -> A | None:
        if (known := sitting.calls.known(question)) is not None:
            return known
        async with self._slots:
            answer = await self._with_patience(question, sitting.calls)
        sitting.count(answered=answer is not None)
        return answer

    async def _with_patience(self, question: Question[A], calls: Calls) -> A | None:
        last: Tried[A] | None = None
        for attempt in range(1, self._retries.attempts + 1):
            if last is not None:
                await self._sleep(self._retries.wait(attempt - 1, last.retry_after, self._jitter()))
            last = await calls.make(question, attempt, last)
            if last is None or not last.worth_repeating:
                break
        return last.answer if last else None

    def _tell(self, run_id: str, calls: Calls, answers: Sequence[object | None]) -> None:
        reason = calls.stopped_because
        if reason and (run_id, reason) not in self._told:
            self._told.add((run_id, reason))
            logger.warning("run %s goes on without the chat model: %s", run_id, reason)
        logger.info(
            "chat model %s answered %d of %d questions; run %s has spent %d tokens and %.4f money",
            self._model.name,
            sum(answer is not None for answer in answers),
            len(answers),
            run_id,
            calls.meter.tokens,
            calls.meter.money,
        )


class _Sitting:
    """Questions asked together: after several in a row without an answer, the rest are spared."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._unanswered = 0

    def count(self, *, answered: bool) -> None:
        self._unanswered = 0 if answered else self._unanswered + 1
        if self._unanswered >= _HOPELESS:
            self.calls.stop(f"{_HOPELESS} questions in a row got no answer")
