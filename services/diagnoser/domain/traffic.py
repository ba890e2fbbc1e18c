"""What one diagnosis looks at: judged rows, trusted rows, and what the models make of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shared.domain.rows import Row
from shared.domain.tasks import UNREADABLE
from shared.domain.traces import JudgedTrace
from shared.tasks import TaskBehaviour
from shared.tasks.classification import Classification

Vectors = npt.NDArray[np.float32]

_LABELS = Classification()


@dataclass(frozen=True, slots=True)
class Traffic:
    """``failures`` and ``passes`` are of one deployed version.

    ``trusted`` are the deployed model's training rows. ``vectors`` is float32
    [failures + passes + trusted, d], rows L2-normalised, in that order; ``probabilities`` are the
    deployed model's, [failures + passes + trusted, labels], in the order of ``labels``.
    ``behaviour`` is that of the model's task.
    """

    labels: tuple[str, ...]
    failures: Sequence[JudgedTrace]
    passes: Sequence[JudgedTrace]
    trusted: Sequence[Row]
    vectors: Vectors
    probabilities: Vectors | None = None
    behaviour: TaskBehaviour = _LABELS

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
            self.behaviour,
        )

    def named(self) -> "Traffic":
        """The same rows with names that many share for answers: what was confused, or their sort.

        Labels are their own names.
        """
        behaviour = self.behaviour
        if behaviour.answers_are_labels:
            return self
        failures = [_confused(trace, behaviour) for trace in self.failures]
        passes = [_sorted(trace, behaviour) for trace in self.passes]
        trusted = [replace(row, target=behaviour.sort(row.target)) for row in self.trusted]
        names = {name for t in failures for name in (t.corrected, t.output)}
        names |= {t.corrected for t in passes} | {row.target for row in trusted}
        labels = tuple(sorted(names - {UNREADABLE}))
        return replace(self, labels=labels, failures=failures, passes=passes, trusted=trusted)

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


def _confused(trace: JudgedTrace, behaviour: TaskBehaviour) -> JudgedTrace:
    expected, predicted = behaviour.confusion(trace.output, trace.corrected)
    return replace(trace, corrected=expected, output=predicted)


def _sorted(trace: JudgedTrace, behaviour: TaskBehaviour) -> JudgedTrace:
    name = behaviour.sort(trace.corrected)
    return replace(trace, corrected=name, output=name)


def _by_id(rows: Sequence[JudgedTrace] | Sequence[Row]) -> list[int]:
    return sorted(range(len(rows)), key=lambda at: (rows[at].id, rows[at].text))
