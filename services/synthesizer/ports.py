"""What the synthesizer alone needs from the world."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.survey import Surveyed
from shared.domain.tasks import Task


@dataclass(frozen=True, slots=True)
class DataSet:
    """Files of labelled rows as JSON lines, in the form of their task; ``test`` may be empty.

    ``task``: how written answers are asked for, and the only labels there are, where its owner says
    so; ``survey``: what others reached on it.
    """

    rows: bytes
    test: bytes = b""
    task: Task | None = None
    survey: tuple[Surveyed, ...] = ()


class Catalogue(Protocol):
    """Data sets by name."""

    def load(self, name: str) -> DataSet:
        """The data set of a name. Raises BadInput, saying why there is none and what to do."""
        ...
