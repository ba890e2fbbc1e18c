"""What failures are compared with: the parent's training rows, passing traffic, triage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shared.domain.rows import Row
from shared.domain.traces import JudgedTrace
from shared.domain.triage import TriageVerdict

Vectors = npt.NDArray[np.float32]


def _no_vectors() -> Vectors:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, slots=True)
class Background:
    """All that is known beside the failures; each part may be absent.

    ``training`` are the parent's rows, ``training_vectors`` float32 [rows, d], L2-normalised.
    ``passes`` are right answers of the deployed version. ``verdicts`` maps trace ids of failures,
    and of passes where they were triaged, to what triage said. Raises ValueError when the vectors
    do not fit the rows.
    """

    training: Sequence[Row] = ()
    training_vectors: Vectors = field(default_factory=_no_vectors)
    passes: Sequence[JudgedTrace] = ()
    verdicts: Mapping[str, TriageVerdict] = field(default_factory=dict[str, TriageVerdict])

    def __post_init__(self) -> None:
        if self.training_vectors.ndim != 2 or len(self.training_vectors) != len(self.training):
            raise ValueError(
                f"training_vectors {self.training_vectors.shape} for {len(self.training)} "
                "training rows: one row for each"
            )
