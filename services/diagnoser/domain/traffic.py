"""What one diagnosis looks at: judged rows, trusted rows, and what the models make of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.domain.rows import Row
from shared.domain.traces import JudgedTrace

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Traffic:
    """``failures`` and ``passes`` are of one deployed version.

    ``trusted`` are the deployed model's training rows. ``vectors`` is float32
    [failures + passes + trusted, d], rows L2-normalised, in that order; ``probabilities`` are the
    deployed model's, [failures + passes + trusted, labels], in the order of ``labels``.
    """

    labels: tuple[str, ...]
    failures: Sequence[JudgedTrace]
    passes: Sequence[JudgedTrace]
    trusted: Sequence[Row]
    vectors: Vectors
    probabilities: Vectors | None = None

    def __post_init__(self) -> None:
        rows = len(self.failures) + len(self.passes) + len(self.trusted)
        for name, matrix in (("vectors", self.vectors), ("probabilities", self.probabilities)):
            if matrix is not None and (matrix.ndim != 2 or len(matrix) != rows):
                raise ValueError(f"{name} {matrix.shape} for {rows} rows: one for each")

    def in_order(self) -> "Traffic":
        """The same rows by id: what samples or folds by place then finds the same in any order."""
        failures, passes = _by_id(self.failures), _by_id(self.passes)
        trusted = _by_id(self.trusted)
        second, third = len(failures), len(failures) + len(passes)
        order = [*failures, *(second + at for at in passes), *(third + at for at in trusted)]
        return Traffic(
            self.labels,
            [self.failures[at] for at in failures],
            [self.passes[at] for at in passes],
            [self.trusted[at] for at in trusted],
            self.vectors[order],
            None if self.probabilities is None else self.probabilities[order],
        )

    @property
    def judged(self) -> list[JudgedTrace]:
        return [*self.failures, *self.passes]

    @property
    def failure_vectors(self) -> Vectors:
        return self.vectors[: len(self.failures)]

    @property
    def judged_vectors(self) -> Vectors:
        return self.vectors[: len(self.failures) + len(self.passes)]

    @property
    def trusted_vectors(self) -> Vectors:
        return self.vectors[len(self.failures) + len(self.passes) :]


def _by_id(rows: Sequence[JudgedTrace] | Sequence[Row]) -> list[int]:
    return sorted(range(len(rows)), key=lambda at: (rows[at].id, rows[at].text))
