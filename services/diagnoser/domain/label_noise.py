"""Which given labels are wrong: a classifier and a noise model that learn from each other.

The true label z of a row is hidden. A classifier says p(z | row) without the row's own label (its
leave-one-out score), a transition matrix says p(given | z), and their product is how likely each
label is. Both are fitted again to those posteriors (EM; Dawid & Skene 1979, Natarajan 2013). Rows
of the parent's training set keep their labels. How far they outweigh the given labels is measured:
the weight whose leave-one-out scores explain the trusted labels best. So given labels that
contradict the trusted rows systematically lose their say (paper §2.6 step 2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, log_softmax, softmax

from services.diagnoser.domain.row_kernel import Ridge, RowKernel

Floats = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SAMPLE = 8_000
_SCORED_AT_ONCE = 8_000
_ROUNDS = 6
_POOLED = 2_000
# Relative to a trusted row's weight of 1; chosen, like the weights of a given label, on other
# intents of CLINC150 and on BANKING77.
_RIDGE = 0.2
_GIVEN_WEIGHTS = (1.0, 0.3, 0.1, 0.03, 0.01)
_POSTERIOR_SAY = 2.0
_SHARPNESS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0)
_PARENT_SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
# A label with fewer trusted rows than this leans on its given rows in proportion.
_ENOUGH_TRUSTED = 5
_PRIOR_WRONG, _PRIOR_ROWS = 0.25, 4.0
_SPREADS = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class WrongLabels:
    """For each row: how likely its given label is wrong, and which label is most likely right.

    ``probability_wrong`` and ``best_probability`` are float32 [n], 0 to 1; ``best`` is int64 [n].
    A row without a given label has nothing to be wrong: its ``probability_wrong`` is 0.
    """

    probability_wrong: Floats
    best: Ints
    best_probability: Floats


def find_wrong_labels(
    given: Ints,
    vectors: Floats,
    trusted_vectors: Floats,
    trusted_labels: Ints,
    *,
    labels: int,
    texts: Sequence[str] | None = None,
    trusted_texts: Sequence[str] | None = None,
    parent_probabilities: Floats | None = None,
    prior_wrong: float | None = None,
    seed: int,
) -> WrongLabels:
    """Judge every given label; no row vouches for itself.

    ``given``: codes [n], -1 for none. ``vectors``: [n, d], L2-normalised, as ``trusted_vectors``
    [m, d], whose labels are right for certain; m may be 0. Texts, when both are there, add the
    words. ``parent_probabilities``: [n, labels], the deployed model's, heeded as far as they agree.
    ``prior_wrong``: the share of wrong labels that was usual before. Near-linear in n: beyond
    some thousand rows a sample is fitted. Raises ValueError when shapes or codes do not fit.
    """
    given, trusted_labels = np.asarray(given, np.int64), np.asarray(trusted_labels, np.int64)
    _check(given, vectors, trusted_vectors, trusted_labels, labels, parent_probabilities)
    rng = np.random.default_rng(seed)
    labelled, trusted = np.flatnonzero(given >= 0), np.arange(len(trusted_labels))
    if not len(labelled):
        return _unlabelled(len(given), parent_probabilities, labels)
    if len(trusted) > _SAMPLE:
        trusted = np.sort(rng.permutation(trusted)[:_SAMPLE])
    sample = np.sort(rng.permutation(labelled)[:_SAMPLE])
    kernel = RowKernel(
        np.concatenate([vectors[sample], trusted_vectors[trusted]]),
        None
        if texts is None or trusted_texts is None
        else [*(texts[at] for at in sample), *(trusted_texts[at] for at in trusted)],
        rng,
    )
    evidence = _Evidence(
        features=kernel.sample,
        given=given[sample],
        trusted=trusted_labels[trusted],
        labels=labels,
        parent=None if parent_probabilities is None else _log(parent_probabilities[sample]),
    )
    model = _fit(evidence, prior_wrong)
    posterior = np.empty((len(given), labels), np.float32)
    posterior[sample] = model.posterior
    rest = np.setdiff1d(np.arange(len(given)), sample, assume_unique=True)
    for start in range(0, len(rest), _SCORED_AT_ONCE):
        at = rest[start : start + _SCORED_AT_ONCE]
        features = kernel.map(vectors[at], None if texts is None else [texts[i] for i in at])
        parent = None if parent_probabilities is None else _log(parent_probabilities[at])
        posterior[at] = model.judge(features, given[at], parent)
    return _verdicts(posterior, given)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What is fitted: the features of the rows with given labels, then of the trusted ones."""

    features: Floats
    given: Ints
    trusted: Ints
    labels: int
    parent: Reals | None

    def one_hot(self) -> Floats:
        return np.eye(self.labels, dtype=np.float32)[np.r_[self.given, self.trusted]]


@dataclass(frozen=True, slots=True)
class _Pool:
    """How experts' scores become one distribution: a log-linear pool with two weights."""

    sharpness: float
    parent: float = 0.0

    def log_probabilities(self, scores: Floats, parent: Reals | None) -> Reals:
        logits = scores * np.float64(self.sharpness)
        if parent is not None and self.parent:
            logits += self.parent * parent
        return log_softmax(logits, axis=1)


@dataclass(frozen=True, slots=True)
class _Model:
    coefficients: Floats
    pool: _Pool
    transition: Reals
    posterior: Reals

    def judge(self, features: Floats, given: Ints, parent: Reals | None) -> Reals:
        """The posterior of rows that were not fitted."""
        log_p = self.pool.log_probabilities(features @ self.coefficients, parent)
        return _posterior(log_p, self.transition, given)


def _fit(evidence: _Evidence, prior_wrong: float | None) -> _Model:
    """EM from the classifier whose leave-one-out scores explain the trusted labels best."""
    n, targets = len(evidence.given), evidence.one_hot()
    ridge, first_pool = _classifier(evidence, targets)
    wrong = _PRIOR_WRONG if prior_wrong is None else prior_wrong
    transition = np.full((evidence.labels,) * 2, wrong / evidence.labels)
    transition += (1 - wrong) * np.eye(evidence.labels)
    for turn in range(_ROUNDS + 1):
        scores = ridge.leave_one_out(targets)
        if turn or (pool := first_pool) is None:
            pool = _best_pool(scores, evidence, transition)
        log_p = pool.log_probabilities(scores[:n], evidence.parent)
        for _ in range(3 if turn else 20):
            posterior = _posterior(log_p, transition, evidence.given)
            transition = _transition(posterior, evidence.given, prior_wrong)
        posterior = _posterior(log_p, transition, evidence.given)
        if turn < _ROUNDS:
            targets[:n] = posterior
    return _Model(ridge.coefficients(targets), pool, transition, posterior)


def _classifier(evidence: _Evidence, targets: Floats) -> tuple[Ridge, _Pool | None]:
    """Fitted with the weight of given labels under which trusted labels are most likely.

    With the pool that made them so; None without trusted rows.
    """
    n = len(evidence.given)
    found: list[tuple[float, float, _Pool]] = []
    for weight in _GIVEN_WEIGHTS if len(evidence.trusted) else ():
        weights = _row_weights(evidence, weight)
        scores = Ridge(evidence.features, weights, _RIDGE, slice(n, None)).leave_one_out(targets)
        for pool in map(_Pool, _SHARPNESS):
            found.append((_trusted_fit(pool, scores, evidence), weight, pool))
    _, weight, pool = max(found, key=lambda each: each[0], default=(0.0, 1.0, None))
    # Posteriors deserve more say than the raw labels they come from.
    weights = _row_weights(evidence, min(1.0, _POSTERIOR_SAY * weight))
    return Ridge(evidence.features, weights, _RIDGE), pool


def _row_weights(evidence: _Evidence, given_weight: float) -> Floats:
    trusted = np.bincount(evidence.trusted, minlength=evidence.labels)
    lacking = np.maximum(1 - trusted / _ENOUGH_TRUSTED, 0)[evidence.given]
    weights = given_weight + (1 - given_weight) * lacking
    return np.r_[weights, np.ones(len(evidence.trusted))].astype(np.float32)


def _best_pool(scores: Floats, evidence: _Evidence, transition: Reals) -> _Pool:
    """The weights under which the given and the trusted labels are most likely."""

    def fit(pool: _Pool) -> float:
        log_p = pool.log_probabilities(scores[some], parent)
        likely = np.log(np.maximum((np.exp(log_p) * heard).sum(axis=1), 1e-12))
        return n / len(some) * float(likely.sum()) + _trusted_fit(pool, scores[n:], evidence)

    n = len(evidence.given)
    some = np.arange(0, n, -(-n // _POOLED))
    parent = None if evidence.parent is None else evidence.parent[some]
    heard = transition[:, evidence.given[some]].T
    pool = max((_Pool(sharpness) for sharpness in _SHARPNESS), key=fit)
    if parent is None:
        return pool
    pool = max((_Pool(pool.sharpness, share) for share in _PARENT_SHARES), key=fit)
    return max((_Pool(sharpness, pool.parent) for sharpness in _SHARPNESS), key=fit)


def _trusted_fit(pool: _Pool, scores: Floats, evidence: _Evidence) -> float:
    """Log-likelihood of the trusted labels, ``scores`` [m, k]; the parent has learned them."""
    log_p = pool.log_probabilities(scores, None)
    return float(log_p[np.arange(len(log_p)), evidence.trusted].sum())


def _posterior(log_p: Reals, transition: Reals, given: Ints) -> Reals:
    """p(true label | row, given label), [n, k]; without a given label p(true label | row)."""
    heard = np.where(given[:, None] >= 0, transition[:, given].T, 1.0)
    joint = log_p + np.log(np.maximum(heard, 1e-12))
    return softmax(joint, axis=1)


def _transition(posterior: Reals, given: Ints, prior_wrong: float | None) -> Reals:
    """p(given | true), [k, k]: shrunk to one share of wrong labels, spread over the others.

    How far the spread of a label's errors is believed is the most likely of ``_SPREADS`` under a
    Dirichlet-multinomial: noise to any label needs much shrinking, noise to neighbours little.
    """
    k = posterior.shape[1]
    counts = np.zeros((k, k))
    np.add.at(counts, given, posterior)
    wrong = counts.T * (1 - np.eye(k))
    rows, errors = counts.sum(axis=0), wrong.sum(axis=1)
    prior = _PRIOR_WRONG if prior_wrong is None else prior_wrong
    usual = (errors.sum() + _PRIOR_ROWS * prior) / (rows.sum() + _PRIOR_ROWS)
    share = (errors + _ENOUGH_TRUSTED * usual) / (rows + _ENOUGH_TRUSTED)
    even = (1 - np.eye(k)) / max(k - 1, 1)
    belief = max(_SPREADS, key=lambda spread: _spread_fit(wrong, errors, spread))
    to = (wrong + belief * even) / (errors + belief)[:, None]
    return share[:, None] * to + np.diag(1 - share)


def _spread_fit(wrong: Reals, errors: Reals, spread: float) -> float:
    each = spread / max(len(wrong) - 1, 1)
    # The diagonal holds no errors and adds nothing: its gammaln terms cancel.
    cells = gammaln(each + wrong) - gammaln(each)
    return float(cells.sum() + (gammaln(spread) - gammaln(spread + errors)).sum())


def _log(probabilities: Floats) -> Reals:
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-6))


def _verdicts(posterior: npt.NDArray[np.floating], given: Ints) -> WrongLabels:
    best = posterior.argmax(axis=1)
    every = np.arange(len(given))
    wrong = np.where(given >= 0, 1 - posterior[every, given], 0)
    return WrongLabels(
        probability_wrong=np.clip(wrong, 0, 1).astype(np.float32),
        best=best.astype(np.int64),
        best_probability=posterior[every, best].astype(np.float32),
    )


def _unlabelled(rows: int, parent: Floats | None, labels: int) -> WrongLabels:
    """Nothing was given, so nothing is wrong; the parent's opinion is all there is."""
    even = np.full((rows, labels), 1 / labels, np.float32)
    return _verdicts(even if parent is None else parent, np.full(rows, -1))


def _check(
    given: Ints,
    vectors: Floats,
    trusted_vectors: Floats,
    trusted_labels: Ints,
    labels: int,
    parent: Floats | None,
) -> None:
    if labels < 2:
        raise ValueError(f"labels={labels}: with fewer than 2 no label can be wrong")
    for name, codes, rows, least in (
        ("given", given, vectors, -1),
        ("trusted_labels", trusted_labels, trusted_vectors, 0),
    ):
        if rows.ndim != 2 or len(codes) != len(rows):
            raise ValueError(f"{name}: {len(codes)} codes for vectors {rows.shape}: one for each")
        if len(codes) and not least <= codes.min() <= codes.max() < labels:
            raise ValueError(f"{name}: codes must lie from {least} to {labels - 1}")
    if parent is not None and parent.shape != (len(given), labels):
        raise ValueError(
            f"parent_probabilities {parent.shape}: must be {(len(given), labels)}, as the rows"
        )
