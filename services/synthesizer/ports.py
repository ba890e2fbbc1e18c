"""What the synthesizer alone needs from the world."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DataSet:
    """Files of labelled rows as JSON lines, in the form of their task; ``test`` may be empty."""

    rows: bytes
    test: bytes = b""


class Catalogue(Protocol):
    """Data sets by name."""

    def load(self, name: str) -> DataSet:
        """The data set of a name. Raises BadInput, saying why there is none and what to do."""
        ...
