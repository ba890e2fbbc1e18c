"""What a model is asked to do, as data; the behaviour lives in ``shared/tasks``."""

from dataclasses import dataclass
from enum import StrEnum


class TaskKind(StrEnum):
    CLASSIFICATION = "classification"


@dataclass(frozen=True, slots=True)
class Task:
    """A task a model is deployed for; ``labels`` is sorted and its order is the head's order."""

    kind: TaskKind
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.labels)) < 2 or tuple(sorted(set(self.labels))) != self.labels:
            raise ValueError(
                f"labels {self.labels[:5]}…: give at least two distinct labels, sorted, none twice"
            )
