"""Whether the deployed model only leans to some labels: a bias for each label, instead of training.

The answer is the label with the highest log-probability plus bias. Everything reported was checked
on rows the bias was not fitted on (paper §5.2.3: calibration before a larger model).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_FOLDS = 3
_FITTED_ROWS = 3_000
_STRENGTHS = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)
# Passes weigh more than failures: a bias that breaks any is of no use.
_PASS_WEIGHTS = (1.0, 10.0)
_RIDGE = 1e-3
# A bias breaks more of the rows it was not fitted on.
_MARGIN = 0.7
# float16 probabilities end at 6e-8; below that nothing can be told apart.
_LEAST = 1e-7


@dataclass(frozen=True, slots=True)
class BiasCheck:
    """What a bias does to rows it was not fitted on.

    ``biases``: float64 [labels], fitted on all rows, 0 on average. ``repaired``: for each failure
    given, whether it comes out right. ``broken`` of ``passes`` come out wrong.
    """

    biases: Floats
    repaired: Bools
    broken: int
    passes: int


def check_bias(
    failing: npt.ArrayLike,
    failing_right: npt.ArrayLike,
    passing: npt.ArrayLike,
    passing_right: npt.ArrayLike,
    *,
    breakable: float,
    seed: int,
) -> BiasCheck:
    """Fit and cross-check. Probabilities are [rows, labels], the right answers their columns.

    ``breakable``: the share of passes that may break, 0 to 1. Raises ValueError when a matrix does
    not fit its answers.
    """
    scores = np.concatenate([_scores(failing, failing_right), _scores(passing, passing_right)])
    right = np.concatenate([np.asarray(failing_right, int), np.asarray(passing_right, int)])
    failed = np.arange(len(right)) < len(np.asarray(failing_right))
    rng = np.random.default_rng(seed)
    # A third of either kind in each fold, so that none has passes only.
    fold = np.empty(len(right), int)
    for kind in (failed, ~failed):
        fold[kind] = rng.permutation(int(kind.sum())) % _FOLDS
    now_right = np.empty(len(right), bool)
    for out in range(_FOLDS):
        fitted = _sample(np.flatnonzero(fold != out), failed, rng)
        bias = _fit(scores[fitted], right[fitted], failed[fitted], breakable)
        at = fold == out
        now_right[at] = _right(scores[at], right[at], bias)
    fitted = _sample(np.arange(len(right)), failed, rng)
    return BiasCheck(
        biases=_fit(scores[fitted], right[fitted], failed[fitted], breakable),
        repaired=now_right[failed],
        broken=int((~now_right[~failed]).sum()),
        passes=int((~failed).sum()),
    )


def _scores(probabilities: npt.ArrayLike, right: npt.ArrayLike) -> Floats:
    matrix = np.asarray(probabilities, np.float64)
    if matrix.ndim != 2 or len(matrix) != len(np.asarray(right)):
        raise ValueError(f"probabilities {matrix.shape} for {len(np.asarray(right))} answers")
    return np.log(np.maximum(matrix, _LEAST))


def _sample(rows: Ints, failed: Bools, rng: np.random.Generator) -> Ints:
    """At most so many of either kind: more would cost time and change little."""
    kinds = (rows[failed[rows]], rows[~failed[rows]])
    few = [
        rng.choice(k, _FITTED_ROWS, replace=False) if len(k) > _FITTED_ROWS else k for k in kinds
    ]
    return np.concatenate(few)


def _fit(scores: Floats, right: Ints, failed: Bools, breakable: float) -> Floats:
    """Of all candidates that break few enough passes the one that gains most."""
    best, most = np.zeros(scores.shape[1]), 0
    allowed = _MARGIN * breakable * float((~failed).sum())
    for weight in _PASS_WEIGHTS:
        leaning = _likeliest(scores, right, np.where(failed, 1.0, weight))
        for strength in _STRENGTHS:
            good = _right(scores, right, strength * leaning)
            repaired, broken = int(good[failed].sum()), int((~good[~failed]).sum())
            if broken <= allowed and repaired - broken > most:
                best, most = strength * leaning, repaired - broken
    return best


def _likeliest(scores: Floats, right: Ints, weights: Floats) -> Floats:
    """The bias under which the right answers are likeliest, weighted, with a ridge."""
    total = weights.sum()
    wanted = np.bincount(right, weights, minlength=scores.shape[1]) / total

    def loss(bias: Floats) -> tuple[float, Floats]:
        moved = scores + bias
        normal: Floats = np.asarray(logsumexp(moved, axis=1))
        given = np.exp(moved - normal[:, None])
        value = float(weights @ (normal - moved[np.arange(len(right)), right])) / total
        gradient = weights @ given / total - wanted + 2 * _RIDGE * bias
        return value + _RIDGE * float(bias @ bias), gradient

    start = np.zeros(scores.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 25})
    bias: Floats = found.x
    return bias - bias.mean()


def _right(scores: Floats, right: Ints, bias: Floats) -> Bools:
    return (scores + bias).argmax(axis=1) == right
