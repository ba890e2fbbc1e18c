"""How given labels come from right ones: the noise model of ``label_noise``."""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

USUALLY_WRONG = 0.25
# Rows that the prior share of wrong labels weighs like, for all labels together; and rows of all
# labels that weigh like one's own.
_PRIOR_ROWS, _SHARED_ROWS = 4.0, 5.0
_SPREADS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
_LEAST = 1e-12


def even_transition(labels: int, wrong: float) -> Reals:
    """[labels, labels], p(given | right) when a share ``wrong`` is drawn from all labels."""
    return np.full((labels, labels), wrong / labels) + (1 - wrong) * np.eye(labels)


def posterior(log_p: Reals, transition: Reals, given: Ints) -> Reals:
    """p(right label | row, given label), [n, k], from ``log_p``, log p(right label | row).

    Without a given label (-1) it is p(right label | row).
    """
    heard = np.log(np.maximum(transition, _LEAST)).T[given]
    heard[given < 0] = 0
    heard += log_p
    heard -= heard.max(axis=1, keepdims=True)
    likely = np.exp(heard, out=heard)
    likely /= likely.sum(axis=1, keepdims=True)
    return likely


def likelihood(log_p: Reals, transition: Reals, given: Ints) -> Reals:
    """log p(given label | row), [n]."""
    return np.log(np.maximum((np.exp(log_p) * transition[:, given].T).sum(axis=1), _LEAST))


def estimate_transition(right: Reals, given: Ints, prior_wrong: float | None) -> Reals:
    """[k, k], p(given | right), from ``right``, the posteriors [n, k].

    Each label's share of errors is shrunk to that of all labels, and the spread of its errors to an
    even one. How much the spread is shrunk is the most likely of some strengths under a
    Dirichlet-multinomial: errors to any label need much, errors to neighbours little.
    """
    k = right.shape[1]
    order = np.argsort(given, kind="stable")
    seen, starts = np.unique(given[order], return_index=True)
    counts = np.zeros((k, k))
    counts[seen] = np.add.reduceat(right[order], starts)
    wrong = counts.T * (1 - np.eye(k))
    rows, errors = counts.sum(axis=0), wrong.sum(axis=1)
    prior = USUALLY_WRONG if prior_wrong is None else prior_wrong
    usual = (errors.sum() + _PRIOR_ROWS * prior) / (rows.sum() + _PRIOR_ROWS)
    share = (errors + _SHARED_ROWS * usual) / (rows + _SHARED_ROWS)
    even = (1 - np.eye(k)) / (k - 1)
    strength = max(_SPREADS, key=lambda spread: _spread_fit(wrong, errors, spread))
    to = (wrong + strength * even) / (errors + strength)[:, None]
    return share[:, None] * to + np.diag(1 - share)


def _spread_fit(wrong: Reals, errors: Reals, strength: float) -> float:
    """Log-likelihood of the errors [k, k], but for what does not depend on ``strength``."""
    each = strength / (len(wrong) - 1)
    # The diagonal holds no errors, so that its terms cancel.
    cells = gammaln(each + wrong) - gammaln(each)
    return float(cells.sum() + (gammaln(strength) - gammaln(strength + errors)).sum())
