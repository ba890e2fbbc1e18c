"""What each kind of task means: one file each, and one line here."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from shared.domain.entity_errors import Hits
from shared.domain.tasks import Head, Task, TaskKind
from shared.tasks.classification import Classification
from shared.tasks.generation import Generation
from shared.tasks.ner import Ner


class TaskBehaviour(Protocol):
    """How answers of one kind of task are judged, named and learned.

    ``head`` is what its models decide on. ``answers_are_labels``: each answer is one of the task's
    labels; what reasons over labels is asked only then. ``compares``: ``is_right`` tells all;
    without it another answer than the target may be right as well, which the gate finds out.
    """

    head: Head
    answers_are_labels: bool
    compares: bool

    def is_right(self, output: str, target: str) -> bool:
        """Whether an answer is the right one, in production and at the gate alike."""
        ...

    def objection(self, target: str, task: Task, text: str | None = None) -> str | None:
        """Why a text cannot be a right answer of this task, in words, or None.

        ``text`` is the input, where it is known.
        """
        ...

    def canonical(self, answer: str, text: str) -> str:
        """The one form of an answer to this input: what means the same is the same string."""
        ...

    def confusion(self, output: str, target: str) -> tuple[str, str]:
        """(expected, predicted) of a wrong answer, in names that many failures share."""
        ...

    def misses(self, expected: str, predicted: str | None) -> bool | None:
        """Whether failures of such a confusion miss what is there, rather than see what is not.

        None where the traffic must tell.
        """
        ...

    def sort(self, target: str) -> str:
        """The name that right answers of one sort share: sets are stratified and balanced by it."""
        ...

    def lesson(self, output: str, target: str) -> tuple[str, str]:
        """(sort to support, sort to contrast it with) for learning from a wrong answer."""
        ...

    def by_type(self, answers: Iterable[tuple[str, str]]) -> Mapping[str, Hits]:
        """What (output, target) pairs name of each type; empty where answers name no spans."""
        ...


_CLASSIFICATION, _NER = Classification(), Ner()

BEHAVIOURS: dict[TaskKind, Callable[[Task], TaskBehaviour]] = {
    TaskKind.CLASSIFICATION: lambda _: _CLASSIFICATION,
    TaskKind.NER: lambda _: _NER,
    TaskKind.GENERATION: Generation,
}


def behaviour(task: Task) -> TaskBehaviour:
    """How answers of this task are judged, named and learned."""
    return BEHAVIOURS[task.kind](task)
