"""What each kind of task means: one file each, and one line here."""

from typing import Protocol

from shared.domain.tasks import Task, TaskKind
from shared.tasks.classification import Classification


class TaskBehaviour(Protocol):
    """How answers of one kind of task are judged, in production and at the gate alike."""

    def is_right(self, output: str, target: str) -> bool:
        """Whether an answer is the right one."""
        ...

    def objection(self, target: str, task: Task) -> str | None:
        """Why a text cannot be a right answer of this task, in words, or None."""
        ...


BEHAVIOURS: dict[TaskKind, TaskBehaviour] = {
    TaskKind.CLASSIFICATION: Classification(),
}


def behaviour(task: Task) -> TaskBehaviour:
    """How answers of this task are judged."""
    return BEHAVIOURS[task.kind]
