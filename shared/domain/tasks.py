"""What a model is asked to do, as data; the behaviour lives in ``shared/tasks``."""

from dataclasses import dataclass
from enum import StrEnum


class TaskKind(StrEnum):
    CLASSIFICATION = "classification"
    NER = "ner"


class Head(StrEnum):
    """What a model's last layer decides on: the whole text, or each of its words."""

    TEXT = "text"
    WORDS = "words"


# The name of what an answer says that breaks the form its task asks for.
UNREADABLE = "an answer that cannot be read"

# One label is no choice; one entity type is, beside none.
_FEWEST = {TaskKind.NER: 1}


@dataclass(frozen=True, slots=True)
class Task:
    """A task a model is deployed for; ``labels`` is sorted and its order is the head's order.

    For entities the labels are the types.
    """

    kind: TaskKind
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        least = _FEWEST.get(self.kind, 2)
        if len(set(self.labels)) < least or tuple(sorted(set(self.labels))) != self.labels:
            raise ValueError(
                f"labels {self.labels[:5]}…: give at least {_NUMBER[least]}, sorted, none twice"
            )


_NUMBER = {1: "one label", 2: "two distinct labels"}
