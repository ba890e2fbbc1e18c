"""Nearest rows of a failure: of another answer as contrast, of its own answer as support (§2.3)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from shared.domain.rows import FailureRow, Row

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

NONE = -1
# Worth this much cosine: the label the model fell for teaches more than a third one.
_PREFERENCE = 0.1
_CELLS_AT_ONCE = 8_000_000


def hard_negatives(
    failures: Sequence[FailureRow],
    failure_vectors: Vectors,
    pool: Sequence[Row],
    pool_vectors: Vectors,
    *,
    count: int,
    penalty: Vectors | None = None,
) -> Positions:
    """Similar inputs with another answer, rows of the wrongly predicted label preferred.

    Vectors are float32 [n, d] and [m, d], rows L2-normalised; ``penalty`` float32 [m] is taken off
    the cosine. Positions in the pool [n, ≤ count], best first, NONE where there are no more.
    """
    return _nearest(
        failures, failure_vectors, pool, pool_vectors, count=count, penalty=penalty, same=False
    )


def correct_examples(
    failures: Sequence[FailureRow],
    failure_vectors: Vectors,
    pool: Sequence[Row],
    pool_vectors: Vectors,
    *,
    count: int,
    penalty: Vectors | None = None,
) -> Positions:
    """Similar inputs with the answer that was expected; shapes as for ``hard_negatives``."""
    return _nearest(
        failures, failure_vectors, pool, pool_vectors, count=count, penalty=penalty, same=True
    )


def _nearest(
    failures: Sequence[FailureRow],
    failure_vectors: Vectors,
    pool: Sequence[Row],
    pool_vectors: Vectors,
    *,
    count: int,
    penalty: Vectors | None,
    same: bool,
) -> Positions:
    count = min(count, len(pool))
    found = np.full((len(failures), count), NONE, np.int64)
    if count == 0:
        return found
    codes: dict[str, int] = {}
    answer = np.array([codes.setdefault(row.target, len(codes)) for row in pool])
    expected = np.array([codes.get(row.target, NONE) for row in failures])
    predicted = np.array([codes.get(row.output, NONE) for row in failures])
    step = max(1, _CELLS_AT_ONCE // len(pool))
    for start in range(0, len(failures), step):
        part = slice(start, start + step)
        score = failure_vectors[part] @ pool_vectors.T
        if penalty is not None:
            score -= penalty
        score[answer == predicted[part, None]] += np.float32(_PREFERENCE)
        score[(answer == expected[part, None]) != same] = -np.inf
        found[part] = _best(score, count)
    return found


def _best(score: Vectors, count: int) -> Positions:
    """Column positions of the highest scores of each row; ties by position."""
    top = np.sort(np.argpartition(-score, count - 1, axis=1)[:, :count], axis=1)
    value = np.take_along_axis(score, top, axis=1)
    order = np.argsort(-value.round(6), axis=1, kind="stable")
    top = np.take_along_axis(top, order, axis=1)
    top[np.isneginf(np.take_along_axis(value, order, axis=1))] = NONE
    return top
