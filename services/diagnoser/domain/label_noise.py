"""Which given labels are wrong: a classifier and a noise model that learn from each other.

The right label of a row is hidden. A classifier says p(right | row) without the row's own label
(its leave-one-out score), a noise model says p(given | right), and their product is how likely each
label is. Both are fitted again to those posteriors (EM; Dawid & Skene 1979, Natarajan 2013). Rows
of the parent's training set keep their labels. How far they outweigh the given labels is measured:
by the weight whose leave-one-out scores make the trusted labels most likely. So given labels that
contradict the trusted rows systematically lose their say (paper §2.6 step 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.diagnoser.domain.label_transition import (
    USUALLY_WRONG,
    estimate_transition,
    even_transition,
    likelihood,
    posterior,
)
from services.diagnoser.domain.row_kernel import Ridge, RowKernel, WeightedRows

Floats = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SAMPLE = 8_000
_AT_ONCE = 8_000
_POOLED = 2_000
# The constants below were chosen on other intents of CLINC150 and on BANKING77.
_ROUNDS = 6
_FIRST_NOISE_ROUNDS, _NOISE_ROUNDS = 20, 3
_RIDGE = 0.2
# Against a trusted row's 1. Posteriors deserve more say than the raw labels they come from.
_GIVEN_WEIGHTS, _POSTERIOR_SAY = (1.0, 0.3, 0.1, 0.03, 0.01), 2.0
# A label with fewer trusted rows than this leans on its given rows in proportion.
_ENOUGH_TRUSTED = 5
_SHARPNESS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0)
_PARENT_SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


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
    [m, d], whose labels are right for certain; m may be 0. Words count when both texts are there.
    ``parent_probabilities``: [n, labels], the deployed model's, heeded as far as it explains the
    given labels. ``prior_wrong``: the share of wrong labels to expect. Beyond some thousand rows a
    sample is fitted: time is linear in n. Raises ValueError when shapes or codes do not fit.

    Rows chosen because the model failed on them make right labels look wrong: judge at least as
    many passing rows with them. Without trusted rows, errors by rule are not seen at all.
    """
    rows = _Rows(np.asarray(given, np.int64), vectors, texts, parent_probabilities)
    trusted = _Rows(np.asarray(trusted_labels, np.int64), trusted_vectors, trusted_texts)
    _check(rows, labels, "given", least=-1)
    _check(trusted, labels, "trusted_labels", least=0)
    rng = np.random.default_rng(seed)
    labelled = np.flatnonzero(rows.labels >= 0)
    if not len(labelled):
        return _without_labels(rows, labels)
    sample = np.sort(rng.permutation(labelled)[:_SAMPLE])
    fitted = rows.take(sample)
    known = trusted.take(np.sort(rng.permutation(len(trusted.labels))[:_SAMPLE]))
    kernel = _kernel(fitted, known, rng)
    evidence = _Evidence(kernel.sample, fitted.labels, known.labels, labels, fitted.log_parent())
    model = _fit(evidence, prior_wrong)
    likely = np.empty((len(rows.labels), labels), np.float32)
    likely[sample] = model.posterior
    others = np.setdiff1d(np.arange(len(rows.labels)), sample, assume_unique=True)
    for start in range(0, len(others), _AT_ONCE):
        at = others[start : start + _AT_ONCE]
        part = rows.take(at)
        scores = kernel.scores(part.vectors, part.texts, model.coefficients)
        likely[at] = model.judge(scores, part)
    return _verdicts(likely, rows.labels)


@dataclass(frozen=True, slots=True)
class _Rows:
    labels: Ints
    vectors: Floats
    texts: Sequence[str] | None = None
    parent: Floats | None = None

    def take(self, at: Ints) -> "_Rows":
        return _Rows(
            self.labels[at],
            self.vectors[at],
            None if self.texts is None else [str(self.texts[row]) for row in at.tolist()],
            None if self.parent is None else self.parent[at],
        )

    def log_parent(self) -> Reals | None:
        # No model is as sure of a label's absence as its softmax says.
        return None if self.parent is None else np.log(np.maximum(self.parent, 1e-6), dtype=float)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """``features``: of the rows with given labels, then of the trusted ones."""

    features: Floats
    given: Ints
    trusted: Ints
    labels: int
    parent: Reals | None


@dataclass(frozen=True, slots=True)
class _Pool:
    """How experts' scores become one distribution: a log-linear pool with two weights."""

    sharpness: float
    parent: float = 0.0

    def log_p(self, scores: Floats, parent: Reals | None) -> Reals:
        logits = scores * np.float32(self.sharpness)
        if parent is not None and self.parent:
            logits += (self.parent * parent).astype(np.float32)
        return (logits - _log_sum(logits)[:, None]).astype(np.float64)


_POOLS = tuple(_Pool(sharpness) for sharpness in _SHARPNESS)


@dataclass(frozen=True, slots=True)
class _Model:
    """What was learned, and the posterior of the rows it was learned from."""

    coefficients: Floats
    pool: _Pool
    transition: Reals
    posterior: Floats

    def judge(self, scores: Floats, rows: _Rows) -> Reals:
        """The posterior of other rows, from what the coefficients make of them."""
        log_p = self.pool.log_p(scores, rows.log_parent())
        return posterior(log_p, self.transition, rows.labels)


def _kernel(fitted: _Rows, known: _Rows, rng: np.random.Generator) -> RowKernel:
    vectors = np.concatenate([fitted.vectors, known.vectors])
    if fitted.texts is None or known.texts is None:
        return RowKernel(vectors, None, rng)
    return RowKernel(vectors, [*fitted.texts, *known.texts], rng)


def _fit(evidence: _Evidence, prior_wrong: float | None) -> _Model:
    """EM from the raw labels."""
    n = len(evidence.given)
    targets = np.eye(evidence.labels, dtype=np.float32)[np.r_[evidence.given, evidence.trusted]]
    ridge, pool = _classifier(evidence, targets)
    transition = even_transition(
        evidence.labels, USUALLY_WRONG if prior_wrong is None else prior_wrong
    )
    scores = ridge.leave_one_out(targets)
    pool = pool or _best_pool(scores, evidence, transition)
    rounds = _FIRST_NOISE_ROUNDS
    for turn in range(_ROUNDS + 1):
        if turn:
            scores, rounds = ridge.leave_one_out(targets), _NOISE_ROUNDS
            pool = _best_pool(scores, evidence, transition)
        log_p = pool.log_p(scores[:n], evidence.parent)
        for _ in range(rounds):
            right = posterior(log_p, transition, evidence.given)
            transition = estimate_transition(right, evidence.given, prior_wrong)
        targets[:n] = posterior(log_p, transition, evidence.given)
    return _Model(ridge.coefficients(targets), pool, transition, targets[:n])


def _classifier(evidence: _Evidence, targets: Floats) -> tuple[Ridge, _Pool | None]:
    """With the weight of given labels under which the trusted labels are most likely.

    And with the pool that made them so; None without trusted rows.
    """
    n = len(evidence.given)
    found: list[tuple[float, float, _Pool]] = []
    rows = _weighted(evidence)
    for weight in _GIVEN_WEIGHTS if len(evidence.trusted) else ():
        scores = rows.ridge(weight, _RIDGE, slice(n, None)).leave_one_out(targets)
        found += [(_trusted_fit(pool, scores, evidence), weight, pool) for pool in _POOLS]
    _, weight, pool = max(found, key=lambda each: each[0], default=(0.0, 1.0, None))
    return rows.ridge(min(1.0, _POSTERIOR_SAY * weight), _RIDGE), pool


def _weighted(evidence: _Evidence) -> WeightedRows:
    trusted = np.bincount(evidence.trusted, minlength=evidence.labels)
    lacking = np.maximum(1 - trusted / _ENOUGH_TRUSTED, 0)[evidence.given]
    given, known = lacking.astype(np.float32), np.ones(len(evidence.trusted), np.float32)
    return WeightedRows(evidence.features, np.r_[given, known], np.r_[1 - given, 0 * known])


def _best_pool(scores: Floats, evidence: _Evidence, transition: Reals) -> _Pool:
    """The weights under which the given and the trusted labels are most likely."""

    def fit(pool: _Pool) -> float:
        log_p = pool.log_p(scores[some], parent)
        likely = likelihood(log_p, transition, evidence.given[some]).mean()
        return n * float(likely) + _trusted_fit(pool, scores[n:], evidence)

    n = len(evidence.given)
    some = np.arange(0, n, -(-n // _POOLED))
    parent = None if evidence.parent is None else evidence.parent[some]
    best = max(_POOLS, key=fit)
    if parent is None:
        return best
    best = max((_Pool(best.sharpness, share) for share in _PARENT_SHARES), key=fit)
    return max((_Pool(pool.sharpness, best.parent) for pool in _POOLS), key=fit)


def _trusted_fit(pool: _Pool, scores: Floats, evidence: _Evidence) -> float:
    """Log-likelihood of the trusted labels. Not the parent's: it has learned them by heart."""
    logits = scores * np.float32(pool.sharpness)
    said = logits[np.arange(len(logits)), evidence.trusted] - _log_sum(logits)
    return float(said.sum(dtype=np.float64))


def _log_sum(logits: Floats) -> Floats:
    """log of the sum of exp(logits), [n]."""
    most = logits.max(axis=1)
    return most + np.log(np.exp(logits - most[:, None]).sum(axis=1))


def _verdicts(likely: Floats, given: Ints) -> WrongLabels:
    every, best = np.arange(len(given)), likely.argmax(axis=1)
    wrong = np.where(given >= 0, 1 - likely[every, given], 0)
    return WrongLabels(
        probability_wrong=np.clip(wrong, 0, 1).astype(np.float32),
        best=best.astype(np.int64),
        best_probability=likely[every, best],
    )


def _without_labels(rows: _Rows, labels: int) -> WrongLabels:
    """Nothing is given, so nothing is wrong: the parent's opinion is all there is."""
    even = np.full((len(rows.labels), labels), 1 / labels, np.float32)
    return _verdicts(even if rows.parent is None else rows.parent, rows.labels)


def _check(rows: _Rows, labels: int, name: str, *, least: int) -> None:
    if labels < 2:
        raise ValueError(f"labels={labels}: with fewer than 2 no label can be wrong")
    codes, vectors, parent = rows.labels, rows.vectors, rows.parent
    if vectors.ndim != 2 or len(codes) != len(vectors):
        raise ValueError(f"{name}: {len(codes)} codes for vectors {vectors.shape}: one row each")
    if len(codes) and not least <= codes.min() <= codes.max() < labels:
        raise ValueError(
            f"{name}: codes {codes.min()} to {codes.max()} must lie from {least} to {labels - 1}"
        )
    if rows.texts is not None and len(rows.texts) != len(codes):
        raise ValueError(f"{name}: {len(codes)} codes for {len(rows.texts)} texts: one for each")
    if parent is not None and parent.shape != (len(codes), labels):
        raise ValueError(
            f"parent_probabilities {parent.shape}: must be {(len(codes), labels)}, as {name}"
        )
