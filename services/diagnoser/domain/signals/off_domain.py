"""Rows on quite another subject: far from everything that this deployment answers rightly.

Distance is the mean cosine distance to the three nearest in-domain rows. What is far is told by
the in-domain rows themselves, each scored against rows it is not among. Passing traffic is among
them, although some of it may be off: a model puts what it was trained on closer together than
anything it never saw. How many are far is told by a mixture of two kinds, fitted to the failures
and to the passes each: some of the domain, which as failures lie farther out, between the labels
that they were confused of, and some of another.
"""

import numpy as np
import numpy.typing as npt

from shared.domain.triage import Evidence, Family

SIGNAL = "off_domain"

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_REFERENCE = 3_000
_FEWEST = 20
_FOLDS = 5
_NEAREST = 3
_ROWS_AT_ONCE = 8_192
_REPORTED_FROM = 0.3

# The mixture's priors, in standard deviations of the in-domain distances: failures of the domain
# may lie up to 1.4 out on the mean, passes up to 0.8, other subjects at least 2.5; 2 of 30 imagined
# rows are off.
_DRIFT, _DRIFT_OF_PASSES, _APART = 1.4, 0.8, 2.5
_OFF, _IMAGINED = 2.0, 30.0
_ROUNDS = 60


def off_domain_evidence(
    failures: Vectors, in_domain: Vectors, *, passes: int = 0, seed: int = 0
) -> list[tuple[Evidence, ...]]:
    """Evidence for the rows whose probability of another subject is at least 0.3."""
    return [
        (Evidence(SIGNAL, Family.OFF_DOMAIN, float(p), "far from all that is answered rightly"),)
        if p >= _REPORTED_FROM
        else ()
        for p in off_domain_probabilities(failures, in_domain, passes=passes, seed=seed)
    ]


def off_domain_probabilities(
    failures: Vectors, in_domain: Vectors, *, passes: int = 0, seed: int = 0
) -> Floats:
    """[n + passes] the probability of being on another subject; 0 for all with few references.

    ``failures`` float32 [n, d] and the first ``passes`` rows of ``in_domain`` float32 [m, d], which
    are passing traffic before the parent's training rows, are in question, in this order. At most
    3,000 in-domain rows are references, drawn by ``seed``. Rows are L2-normalised. Linear in n and
    in m. Raises ValueError when the shapes do not fit.
    """
    if failures.ndim != 2 or in_domain.ndim != 2 or failures.shape[1] != in_domain.shape[1]:
        raise ValueError(f"failures {failures.shape}, in_domain {in_domain.shape}: want [n, d]")
    if not 0 <= passes <= len(in_domain):
        raise ValueError(f"passes={passes} of {len(in_domain)} in-domain rows: there are fewer")
    if len(in_domain) < _FEWEST:
        return np.zeros(len(failures) + passes)
    drawn = np.random.default_rng(seed).permutation(len(in_domain))[:_REFERENCE]
    reference = in_domain[drawn]
    usual = _cross_fitted(reference)
    mean, spread = usual.mean(), max(float(usual.std()), 1e-6)
    passing = np.zeros(passes)
    known = drawn < passes
    passing[drawn[known]] = usual[known]
    others = np.setdiff1d(np.arange(passes), drawn)
    passing[others] = _distances(in_domain[others], reference)
    return np.concatenate(
        [
            _mixture((_distances(failures, reference) - mean) / spread, drift=_DRIFT),
            _mixture((passing - mean) / spread, drift=_DRIFT_OF_PASSES),
        ]
    )


def _cross_fitted(rows: Vectors) -> Floats:
    """How far each row is from those of the other folds; the rows come in random order."""
    fold = np.arange(len(rows)) % _FOLDS
    far = np.zeros(len(rows))
    for held in range(_FOLDS):
        far[fold == held] = _distances(rows[fold == held], rows[fold != held])
    return far


def _distances(vectors: Vectors, reference: Vectors) -> Floats:
    nearest = min(_NEAREST, len(reference))
    far: list[Floats] = []
    for at in range(0, len(vectors), _ROWS_AT_ONCE):
        near = vectors[at : at + _ROWS_AT_ONCE] @ reference.T
        near.partition(near.shape[1] - nearest, axis=1)
        far.append(1 - near[:, -nearest:].mean(axis=1, dtype=np.float64))
    return np.concatenate([np.zeros(0), *far])


def _mixture(far: Floats, *, drift: float) -> Floats:
    """The probability of the farther of two Gaussians for standard distances, by EM with priors.

    Never falls with distance: a wide nearer kind must not claim what lies beyond the farther one.
    """
    if not len(far):
        return far
    order = np.argsort(far, kind="stable")
    sorted_far = far[order]
    share, rows = _OFF / _IMAGINED, len(far)
    near, near_sd = 0.0, 1.0
    off, off_sd = max(float(np.quantile(far, 0.97)), _APART + 0.5), 1.0
    belongs = np.zeros(rows)
    for _ in range(_ROUNDS):
        log_odds = np.log(share / (1 - share)) + np.log(near_sd / off_sd)
        log_odds = log_odds + ((sorted_far - near) / near_sd) ** 2 / 2
        log_odds = log_odds - ((sorted_far - off) / off_sd) ** 2 / 2
        belongs = 1 / (1 + np.exp(-np.clip(log_odds, -50, 50)))
        belongs = np.maximum.accumulate(np.where(sorted_far < near, 0, belongs))
        n = belongs.sum()
        share = float(np.clip((n + _OFF) / (rows + _IMAGINED), 0.002, 0.6))
        near = float(np.clip(((1 - belongs) @ sorted_far) / (rows - n + 10), 0, drift))
        off = max(float((belongs @ sorted_far + 2 * (_APART + 1)) / (n + 2)), _APART)
        near_square = ((1 - belongs) @ (sorted_far - near) ** 2 + 10) / (rows - n + 10)
        off_square = (belongs @ (sorted_far - off) ** 2 + 3) / (n + 3)
        near_sd = float(np.clip(np.sqrt(near_square), 0.7, 1.3))
        off_sd = float(np.clip(np.sqrt(off_square), 0.6, 3))
    probabilities = np.zeros(rows)
    probabilities[order] = belongs
    return probabilities
