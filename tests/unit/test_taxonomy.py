"""Error patterns: every failure in exactly one, confusions first, then meaning."""

import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.taxonomy import find_patterns
from shared.domain.patterns import ErrorPattern
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource

LABELS = "abc"


def failure(at: int, expected: str, predicted: str, text: str = "") -> JudgedTrace:
    return JudgedTrace(
        f"t{at:03d}",
        text or f"text {at}",
        predicted,
        Verdict.FAIL,
        expected,
        VerdictSource.EXACT_MATCH,
    )


def towards(*axes: int, seed: int = 0, spread: float = 0.1) -> npt.NDArray[np.float32]:
    """Unit vectors in 8 dimensions, one near each axis."""
    rng = np.random.default_rng(seed)
    vectors = np.eye(8)[list(axes)] + rng.normal(0, spread / 3, (len(axes), 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[JudgedTrace], npt.NDArray[np.float32]]:
    pairs = st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS))
    confused = draw(st.lists(pairs, max_size=60))
    rows = [failure(at, *pair) for at, pair in enumerate(confused)]
    axes = [draw(st.integers(0, 3)) for _ in rows]
    return rows, towards(*axes, seed=draw(st.integers(0, 9)))


@settings(max_examples=50, deadline=None)
@given(cases(), st.integers(1, 5), st.integers(2, 12))
def test_every_failure_is_in_exactly_one_pattern_of_its_label(
    case: tuple[list[JudgedTrace], npt.NDArray[np.float32]], min_size: int, split_from: int
) -> None:
    rows, vectors = case
    patterns = find_patterns(rows, vectors, min_size=min_size, split_from=split_from)
    of = {row.id: row for row in rows}
    assert sorted(m for p in patterns for m in p.members) == sorted(of)
    for pattern in patterns:
        assert {of[m].corrected for m in pattern.members} == {pattern.expected}
        if pattern.predicted is not None:
            assert {of[m].output for m in pattern.members} == {pattern.predicted}
    assert [p.size for p in patterns] == sorted((p.size for p in patterns), reverse=True)
    assert len({p.id for p in patterns}) == len(patterns)
    assert sum(p.share for p in patterns) == pytest.approx(1.0 if rows else 0.0)


@settings(max_examples=50, deadline=None)
@given(cases(), st.randoms())
def test_patterns_do_not_depend_on_the_order(
    case: tuple[list[JudgedTrace], npt.NDArray[np.float32]], rng: random.Random
) -> None:
    rows, vectors = case
    order = rng.sample(range(len(rows)), len(rows))
    assert find_patterns([rows[at] for at in order], vectors[order]) == find_patterns(rows, vectors)


def confusion(size: int, axes: list[int]) -> tuple[ErrorPattern, ...]:
    rows = [failure(at, "status", "refund") for at in range(size)]
    return find_patterns(rows, towards(*axes), split_from=20)


def test_a_large_confusion_of_two_meanings_becomes_two_patterns() -> None:
    patterns = confusion(40, [0] * 25 + [1] * 15)
    assert [p.size for p in patterns] == [25, 15]
    assert set(patterns[1].members) == {f"t{at:03d}" for at in range(25, 40)}


def test_a_large_confusion_of_one_meaning_stays_one() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(1, 0.3, (200, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = [failure(at, "status", "refund") for at in range(200)]
    assert len(find_patterns(rows, vectors)) == 1


def test_a_small_confusion_is_not_divided() -> None:
    assert [p.size for p in confusion(19, [0] * 10 + [1] * 9)] == [19]


def test_rare_confusions_of_one_label_are_put_together() -> None:
    rows = [failure(at, "a", "b") for at in range(3)]
    rows += [failure(3, "a", "c"), failure(4, "a", "d"), failure(5, "b", "c")]
    patterns = find_patterns(rows, towards(*[0] * 6))
    assert {(p.expected, p.predicted, p.size) for p in patterns} == {
        ("a", "b", 3),
        ("a", None, 2),
        ("b", "c", 1),
    }
    assert any(p.name.startswith("a → other labels: ") for p in patterns)


def test_a_pattern_is_named_by_its_most_typical_member() -> None:
    texts = ["where is it", "where is my  refund", "unlike the others, and rather long too"]
    rows = [failure(at, "refund_status", "request_refund", text) for at, text in enumerate(texts)]
    vectors = towards(0, 0, 1)
    vectors[0] = towards(0, spread=0.5, seed=3)[0]
    pattern = find_patterns(rows, vectors)[0]
    assert pattern.members[-1] == "t002"
    typical = {row.id: row.text for row in rows}[pattern.members[0]]
    assert pattern.name == f'refund_status → request_refund: "{" ".join(typical.split())}"'
    assert pattern.examples[0] == typical
    assert pattern.mean_words == pytest.approx((3 + 4 + 7) / 3)


def test_vectors_must_fit_the_failures() -> None:
    with pytest.raises(ValueError, match=r"\(1, 8\) for 2 failures"):
        find_patterns([failure(0, "a", "b"), failure(1, "a", "b")], towards(0))
