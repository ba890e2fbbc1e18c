"""Seed rows of answers that are written freely: requests of several kinds, each with its answer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from services.synthesizer.domain.seeds import SHOWN, Refused, SeedRow
from shared.domain.answer_form import AnswerForm
from shared.domain.chat import Answer, Prompt, Question, tidy
from shared.domain.row_files import PlacedRow, written
from shared.domain.tasks import Task, TaskKind
from shared.domain.written import MAX_WORDS
from shared.errors import BadInput
from shared.tasks import behaviour

FORM = "an answer that does not fit its form"
_MOST_SIGNS = 2_000
# Asked for one kind alone, a model writes the same request again and again.
KINDS = (
    "short and plain",
    "long, with details that do not matter",
    "of a rare case",
    "in careless words, as written in haste",
)

Said = Annotated[str, AfterValidator(lambda text: tidy(text, _MOST_SIGNS))]


class WrittenAnswer(Answer):
    """A request as a user might write it, and its right answer."""

    request: Said
    answer: Said


class AnswersAnswer(Answer):
    rows: Annotated[tuple[WrittenAnswer, ...], Field(max_length=100)]


class GivenAnswer(Answer):
    answer: Said


class GivenAnswers(Answer):
    """An answer to each request, in order."""

    read: Annotated[tuple[GivenAnswer, ...], Field(max_length=200)]


ANSWERS = Prompt(
    name="write-answer-seeds",
    version=1,
    system=(
        "You write training examples for a small model that answers requests. You are given what "
        "it shall do, the kind of requests that are wanted now, and requests written already. "
        "Write new requests as real users would write them, each with the one answer that is "
        "right. Do not repeat requests written already."
    ),
    answer=AnswersAnswer,
    max_tokens=4_000,
)
GIVEN = Prompt(
    name="read-answer-seeds",
    version=1,
    system=(
        "You answer requests. You are given what shall be done, and requests. Give the one right "
        "answer to each, in the order of the requests."
    ),
    answer=GivenAnswers,
    max_tokens=4_000,
)


@dataclass(frozen=True, slots=True)
class AnswerSeeds:
    """Requests of each kind; their answers are right when another one is, by the task's form.

    Raises BadInput for a form whose answers comparing cannot confirm.
    """

    description: str
    form: AnswerForm
    sorts: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        if not self.form.scorer.compares:
            raise BadInput(
                f"a chat model's answers cannot be confirmed by the scorer "
                f"{self.form.scorer.value!r}: give rows with --data, or a form that compares"
            )

    def question(
        self, sort: str, known: Sequence[str], *, count: int, turn: int
    ) -> Question[AnswersAnswer]:
        shown = [("written-already", text) for text in known[-SHOWN:]]
        return ANSWERS.about(
            f"{sort}, turn {turn}",
            [("description", self.description), *shown],
            facts=f"Write {count} requests of at most {MAX_WORDS} words that are {sort}. "
            f"{self._asked}",
        )

    def read(self, sort: str, answer: AnswersAnswer) -> tuple[Sequence[SeedRow], Refused]:
        task, rows, refused = self._task, list[SeedRow](), Counter[str]()
        for row in answer.rows:
            if not row.answer or behaviour(task).objection(row.answer, task, row.request):
                refused[FORM] += 1
            else:
                rows.append(SeedRow(row.request, sort, row.answer))
        return rows, refused

    def reading(self, rows: Sequence[SeedRow]) -> Question[GivenAnswers]:
        return GIVEN.about(
            f"{len(rows)} requests",
            [("description", self.description), *(("request", row.text) for row in rows)],
            facts=f"There are {len(rows)} requests. {self._asked}",
        )

    def agrees(self, rows: Sequence[SeedRow], answer: GivenAnswers) -> Sequence[bool]:
        if len(answer.read) != len(rows):
            return ()
        right = behaviour(self._task).is_right
        return [right(one.answer, row.target) for row, one in zip(rows, answer.read, strict=True)]

    def placed(self, row: SeedRow, place: str) -> PlacedRow:
        return written(row.text, row.target, place)

    @property
    def _task(self) -> Task:
        return Task(TaskKind.GENERATION, (), self.form)

    @property
    def _asked(self) -> str:
        told = f" {self.form.system_prompt}" if self.form.system_prompt else ""
        # A token is a word at most.
        return f"An answer has at most {self.form.answer_tokens // 2 or 1} words.{told}"
