"""A chat model grades written answers; what was graded once is never asked again."""

import logging
from collections.abc import Sequence

from services.verifier.domain.evaluation import Grades
from services.verifier.domain.judge_prompt import Given, GradeAnswer, grade_question
from shared.chat.asking import Chat
from shared.chat.settings import refuse_unjudged
from shared.domain.answer_form import AnswerForm
from shared.domain.chat import Question
from shared.domain.ids import derive_id
from shared.domain.tasks import Task
from shared.errors import PermanentError
from shared.ports import DocumentStore
from shared.tasks import behaviour

logger = logging.getLogger(__name__)

COLLECTION = "answer_grades"
# Filters of servers decline a question now and then. More would be another measurement.
_MISSING = 0.05


class AnswerJudge:
    """Grades by content, across runs. Each run pays for what it is the first to ask."""

    def __init__(self, chat: Chat | None, documents: DocumentStore) -> None:
        self._chat = chat
        self._documents = documents

    async def grade(self, answers: Sequence[Given], task: Task, *, run_id: str) -> Grades:
        """Which answers are right; one that is the same as its target is not asked about.

        A few may stay without a grade. Raises BadInput without a chat model, PermanentError where
        too many do, TransientError when the database or the chat model's server is away.
        """
        refuse_unjudged(task, chat=self._chat is not None)
        form, is_right = task.form or AnswerForm(), behaviour(task).is_right
        grades: dict[Given, bool] = {}
        asked: dict[Given, Question[GradeAnswer]] = {}
        for given in answers:
            question = grade_question(given, form)
            if question is None or is_right(given.output, given.target):
                grades[given] = question is not None
            else:
                asked[given] = question
        known = await self._answered({q.id: q for q in asked.values()}, run_id)
        grades |= {given: known[q.id] for given, q in asked.items() if q.id in known}
        return {given.key: right for given, right in grades.items()}

    async def _answered(
        self, questions: dict[str, Question[GradeAnswer]], run_id: str
    ) -> dict[str, bool]:
        """By question id, from the store or from the chat model; not those without an answer."""
        chat = self._chat
        assert chat is not None
        keys = {id_: derive_id("answer-grade", chat.model, id_) for id_ in questions}
        stored = {id_: await self._documents.get(COLLECTION, key) for id_, key in keys.items()}
        known = {id_: bool(found["right"]) for id_, found in stored.items() if found}
        new = [question for id_, question in questions.items() if id_ not in known]
        answers = await chat.ask(new, run_id=run_id, needed=True)
        for question, answer in zip(new, answers, strict=True):
            if answer is None:
                continue
            known[question.id] = answer.right
            document = {"_id": keys[question.id], "model": chat.model, "run_id": run_id}
            document |= answer.model_dump()
            await self._documents.insert(COLLECTION, document)
        logger.info("graded %d answers, %d of them new", len(known), len(new))
        missing = len(questions) - len(known)
        if missing > _MISSING * len(questions):
            raise PermanentError(
                f"the chat model graded {len(known)} of {len(questions)} answers, {missing} stay "
                "without a grade: look at PIONEER_LLM_TOKENS_PER_RUN, PIONEER_LLM_MONEY_PER_RUN "
                "and the model's server; what is graded is kept for the next run"
            )
        return known
