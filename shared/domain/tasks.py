"""What a model is asked to do, as data; the behaviour lives in ``shared/tasks``."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.answer_form import AnswerForm, Extractor, Scorer


class TaskKind(StrEnum):
    CLASSIFICATION = "classification"
    NER = "ner"
    GENERATION = "generation"


class Head(StrEnum):
    """What a model's last layer decides on: the whole text, each of its words, or what follows."""

    TEXT = "text"
    WORDS = "words"
    NEXT = "next"


# The name of what an answer says that breaks the form its task asks for.
UNREADABLE = "an answer that cannot be read"

# One label is no choice; one entity type is, beside none. Written answers need no labels.
_FEWEST = {TaskKind.NER: 1, TaskKind.GENERATION: 0}


@dataclass(frozen=True, slots=True)
class Task:
    """A task a model is deployed for; ``labels`` is sorted and its order is the head's order.

    For entities the labels are the types. For written answers they are the only answers there are,
    and none where an answer is free; ``form`` says how these are scored and asked for.
    """

    kind: TaskKind
    labels: tuple[str, ...]
    form: AnswerForm | None = None

    def __post_init__(self) -> None:
        least = _FEWEST.get(self.kind, 2)
        if len(set(self.labels)) < least or tuple(sorted(set(self.labels))) != self.labels:
            raise ValueError(
                f"labels {self.labels[:5]}…: give {_NUMBER[least]}, sorted, none twice"
            )
        if self.kind is not TaskKind.GENERATION:
            if self.form is not None:
                raise ValueError(f"form: a task of {self.kind} has none, only generation has")
            return
        if self.form is None:
            object.__setattr__(self, "form", AnswerForm())
        self._check_choice()

    def _check_choice(self) -> None:
        if self.labels and self.form is not None and self.form.scorer is Scorer.PASSES:
            raise ValueError(
                f"labels {self.labels[:5]}… with scorer={Scorer.PASSES}: code is a free answer, "
                "leave the labels out"
            )
        letters = self.form is not None and self.form.extractor is Extractor.LETTER
        if letters and not all(len(one) == 1 and "A" <= one <= "Z" for one in self.labels):
            raise ValueError(f"labels {self.labels[:5]}…: a letter is chosen from A to Z")


_NUMBER = {0: "labels", 1: "at least one label", 2: "at least two distinct labels"}
