"""The kernel's short cuts give what the long way gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain import row_kernel
from services.diagnoser.domain.row_kernel import RowKernel, WeightedRows

_PENALTY = 0.2


def _unit(rng: np.random.Generator, rows: int) -> row_kernel.Floats:
    points = rng.normal(size=(rows, 5))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([0.01, 0.3, 1.0]), st.integers(0, 11))
def test_left_out_is_as_if_it_had_never_been_fitted(seed: int, share: float, out: int) -> None:
    rng = np.random.default_rng(seed)
    features, targets = rng.normal(size=(12, 4)), rng.normal(size=(12, 3)).astype(np.float32)
    fixed, shared = (rng.random((2, 12)) * [[1.0], [2.0]]).astype(np.float32)
    ridge = WeightedRows(features.astype(np.float32), fixed, shared).ridge(share, _PENALTY)
    some = np.arange(12) != out
    weighted = (features * (fixed + share * shared)[:, None])[some]
    gram = weighted.T @ features[some] + _PENALTY * np.eye(4)
    expected = features[out] @ np.linalg.solve(gram, weighted.T @ targets[some])
    np.testing.assert_allclose(ridge.leave_one_out(targets)[out], expected, atol=0.01)


def test_only_the_rows_asked_for_are_scored() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(12, 4)).astype(np.float32)
    targets = rng.normal(size=(12, 3)).astype(np.float32)
    rows = WeightedRows(features, np.ones(12, np.float32), np.zeros(12, np.float32))
    every = rows.ridge(1.0, _PENALTY).leave_one_out(targets)
    last = rows.ridge(1.0, _PENALTY, slice(9, None)).leave_one_out(targets)
    np.testing.assert_allclose(last, every[9:], atol=1e-5)


@pytest.mark.parametrize("worded", [False, True])
@pytest.mark.parametrize("copies", [False, True])
def test_scores_are_features_times_coefficients(
    monkeypatch: pytest.MonkeyPatch, *, worded: bool, copies: bool
) -> None:
    monkeypatch.setattr(row_kernel, "_AT_ONCE", 16)
    rng = np.random.default_rng(2)
    vectors = _unit(rng, 40)
    if copies:
        vectors[20:] = vectors[:20]
    texts = [f"say {word} or {word}" for word in rng.choice(list("abcdef"), 40)] if worded else None
    kernel = RowKernel(vectors, texts, rng)
    coefficients = rng.normal(size=(kernel.sample.shape[1], 3)).astype(np.float32)
    scores = kernel.scores(vectors, texts, coefficients)
    np.testing.assert_allclose(scores, kernel.sample @ coefficients, atol=0.02)
    # The products of features are the kernel itself, whichever rows are landmarks.
    products = kernel.sample[:, :-1] @ kernel.sample[:, :-1].T
    np.testing.assert_allclose(np.diag(products), 1, atol=1e-3)
