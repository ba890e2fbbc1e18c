"""What a scenario's models are, and how all its arms train them."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.domain.answer_form import AnswerForm
from shared.domain.entities import read_answer
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.tasks import Task, TaskKind
from shared.jobs.base_models import GEMMA, MINILM


@dataclass(frozen=True, slots=True)
class Learning:
    """A kind of task, the base model, and the one recipe of all arms.

    ``free``: right answers are no names that a task could list. ``form`` is for generation.
    """

    kind: TaskKind = TaskKind.CLASSIFICATION
    base_model: str = MINILM
    method: Method = Method.FULL
    learning_rate: float = 2e-4
    epochs: int = 5
    batch_size: int = 32
    free: bool = False
    form: AnswerForm | None = None

    def task(self, answers: Iterable[str]) -> Task:
        """The task whose right answers these are."""
        if self.kind is TaskKind.NER:
            found = {entity.type for answer in answers for entity in read_answer(answer)}
        else:
            found = set[str]() if self.free else {*answers}
        return Task(self.kind, tuple(sorted(found)), self.form)

    def recipe(self, seed: int) -> Recipe:
        """How every arm trains."""
        plain = Hyperparameters(self.base_model, self.learning_rate)
        return Recipe(
            Hyperparameters(
                self.base_model,
                self.learning_rate,
                self.epochs,
                self.batch_size,
                max_tokens=self.form.max_tokens if self.form else plain.max_tokens,
                seed=seed,
                system_prompt=self.form.system_prompt if self.form else "",
            ),
            Strategy(self.method),
        )


CLASSIFIER = Learning()
# Few rows of about twenty words each: more steps than a classifier needs.
TAGGER = Learning(TaskKind.NER, epochs=8, batch_size=16)


def writer(form: AnswerForm, *, epochs: int, free: bool = False) -> Learning:
    """Gemma 3 270M with LoRA, in this form."""
    return Learning(
        TaskKind.GENERATION,
        GEMMA,
        Method.LORA,
        learning_rate=5e-4,
        epochs=epochs,
        batch_size=8,
        free=free,
        form=form,
    )
