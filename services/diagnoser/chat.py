"""What a chat model may add to a diagnosis; without one, or without budget, nothing is missing."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from services.diagnoser.domain.chat_answers import JudgeAnswer, SecondOpinion
from services.diagnoser.domain.chat_prompts import (
    CorrectedRow,
    judge_question,
    name_question,
    probe_labels,
    probes_question,
    triage_question,
)
from shared.chat.asking import Chat
from shared.domain.chat import A, Question
from shared.domain.patterns import ErrorPattern
from shared.domain.tasks import Task
from shared.domain.traces import UnjudgedTrace
from shared.domain.written import WrittenRow, accept_written

logger = logging.getLogger(__name__)


class ChatAdvice:
    """Asks about traces, rows and patterns. What got no answer is left out of what is returned.

    ``run_id`` names whose budget pays. All methods raise TransientError when the ledger is away.
    """

    def __init__(self, chat: Chat | None) -> None:
        self._chat = chat
        self._told = False

    @property
    def available(self) -> bool:
        """Whether there is a chat model at all."""
        return self._chat is not None

    async def judge_traces(
        self, traces: Sequence[UnjudgedTrace], task: Task, *, run_id: str
    ) -> Mapping[str, JudgeAnswer]:
        """A verdict or an abstention for each trace, by its id."""
        return await self._ask([judge_question(trace, task) for trace in traces], run_id)

    async def second_opinions(
        self, rows: Sequence[CorrectedRow], task: Task, *, run_id: str
    ) -> Mapping[str, SecondOpinion]:
        """What is the matter with each row, by its id."""
        answers = await self._ask([triage_question(row, task) for row in rows], run_id)
        return {row: SecondOpinion.of(answer) for row, answer in answers.items()}

    async def name_patterns(
        self, patterns: Sequence[ErrorPattern], *, run_id: str
    ) -> Mapping[str, str]:
        """A readable name for each pattern, by its id."""
        answers = await self._ask([name_question(pattern) for pattern in patterns], run_id)
        return {pattern: answer.name for pattern, answer in answers.items()}

    async def write_probes(
        self,
        patterns: Sequence[ErrorPattern],
        task: Task,
        *,
        run_id: str,
        count: int,
        evaluation_texts: Iterable[str],
    ) -> Mapping[str, tuple[WrittenRow, ...]]:
        """At most ``count`` new inputs for each pattern, by its id, none of them evaluated on."""
        questions = [probes_question(pattern, task, count) for pattern in patterns]
        answers = await self._ask(questions, run_id)
        measured = list(evaluation_texts)
        return {
            pattern.id: (
                # Its own thread: to compare with all that is measured takes seconds.
                await asyncio.to_thread(
                    accept_written,
                    answers[pattern.id].probes,
                    labels=probe_labels(pattern, task),
                    evaluation_texts=measured,
                    known_texts=pattern.examples,
                )
            ).rows[:count]
            for pattern in patterns
            if pattern.id in answers
        }

    async def _ask(self, questions: Sequence[Question[A]], run_id: str) -> dict[str, A]:
        if self._chat is None:
            if not self._told:
                logger.info("there is no chat model: PIONEER_LLM_BASE_URL is not set")
            self._told = True
            return {}
        answers = await self._chat.ask(questions, run_id=run_id)
        return {
            question.subject: answer
            for question, answer in zip(questions, answers, strict=True)
            if answer is not None
        }
