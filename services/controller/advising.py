"""A chat model is asked for the next move; where it gives none in time, the rules' plan stands."""

import asyncio
import logging

from services.controller.domain.advice import move_question
from services.controller.domain.advised import heeded, unheeded
from services.controller.domain.decision import Iterate
from services.controller.domain.grounds import Grounds
from shared.chat.asking import Chat
from shared.errors import DEFECTS, PermanentError

logger = logging.getLogger(__name__)


class Advice:
    """Asks within so many seconds; a run pays from its own budget, and asks each question once."""

    def __init__(self, chat: Chat, *, seconds: float) -> None:
        self._chat = chat
        self._seconds = seconds

    async def heard(self, grounds: Grounds) -> Iterate:
        """The next iteration. Raises TransientError when the ledger of calls is away."""
        plan = await self._plan(grounds)
        logger.info("after the chat model: %s: %s", plan.move.value, plan.reason)
        return plan

    async def _plan(self, grounds: Grounds) -> Iterate:
        try:
            async with asyncio.timeout(self._seconds):
                [answer] = await self._chat.ask([move_question(grounds)], run_id=grounds.run.id)
        except TimeoutError:
            return unheeded(grounds.plan, f"no answer within {self._seconds:g} s")
        if answer is None:
            return unheeded(grounds.plan, "it gave no valid answer")
        try:
            return await asyncio.to_thread(heeded, answer, grounds)
        except (PermanentError, *DEFECTS) as error:
            # The same answer would be read again: without this the run would wait for its end.
            logger.exception("the chat model's move cannot be read")
            return unheeded(grounds.plan, f"it could not be read ({type(error).__name__})")
