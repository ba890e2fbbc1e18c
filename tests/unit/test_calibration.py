"""How far a confidence can be believed, learned from how answers turned out."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.diagnoser.domain.calibration import (
    Calibration,
    Outcome,
    calibrate,
    expected_calibration_error,
)
from tests.unit.floats import floats

outcomes = st.lists(
    st.builds(Outcome, st.sampled_from("abc"), st.none() | floats(0, 1), right=st.booleans()),
    max_size=80,
)


def answered(
    rng: np.random.Generator, count: int, truth: Callable[[str, float], float]
) -> list[Outcome]:
    """Answers of twenty labels, right with the probability that ``truth`` gives."""
    found: list[Outcome] = []
    for _ in range(count):
        label, sure = f"l{rng.integers(20)}", float(rng.beta(6, 1.2))
        found.append(Outcome(label, sure, right=bool(rng.random() < truth(label, sure))))
    return found


def errors(seen: list[Outcome], fresh: list[Outcome]) -> tuple[float, float]:
    """Expected calibration error on fresh answers: of the model's word, and calibrated."""
    record = calibrate(seen)
    right = [one.right for one in fresh]
    raw = [one.confidence or 0.0 for one in fresh]
    ours = [record.calibrated(one.label, one.confidence) for one in fresh]
    return expected_calibration_error(raw, right), expected_calibration_error(ours, right)


def by_label(label: str, sure: float) -> float:
    """Half of the labels are as good as the model says, half much worse."""
    return sure if int(label[1:]) % 2 else 0.4 + 0.2 * sure


@pytest.mark.parametrize("seed", range(5))
def test_it_lowers_the_calibration_error_of_a_model_too_sure_of_some_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = errors(answered(rng, 1_500, by_label), answered(rng, 4_000, by_label))
    assert before > 0.1
    assert after < 0.7 * before


@pytest.mark.parametrize("seed", range(5))
def test_it_leaves_a_model_that_knows_itself_nearly_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def honest(label: str, sure: float) -> float:
        return sure

    seen, fresh = answered(rng, 1_500, honest), answered(rng, 4_000, honest)
    _, after = errors(seen, fresh)
    assert after < 0.03
    record = calibrate(seen)
    sure, unsure = record.calibrated("l1", 0.99), record.calibrated("l1", 0.3)
    assert sure - unsure > 0.5


def test_a_label_that_often_failed_goes_before_one_that_never_did() -> None:
    seen = [Outcome("bad", 0.9, right=at % 3 == 0) for at in range(60)]
    seen += [Outcome("good", 0.9, right=True) for _ in range(60)]
    record = calibrate(seen)
    assert record.calibrated("bad", 0.9) < 0.6
    assert record.calibrated("good", 0.9) > 0.9


def test_more_evidence_weighs_more() -> None:
    few = Calibration({"a": 5}, {"a": 0}).calibrated("a", 0.9)
    many = Calibration({"a": 500}, {"a": 0}).calibrated("a", 0.9)
    assert many < 0.1 < few < 0.9


def test_without_a_record_the_model_is_believed() -> None:
    empty = calibrate([])
    assert empty.calibrated("a", 0.8) == 0.8
    assert empty.calibrated("a", None) == 0.5


def test_without_a_confidence_the_record_tells() -> None:
    record = calibrate([Outcome("a", None, right=at < 30) for at in range(100)])
    assert record.calibrated("a", None) == pytest.approx(0.3, abs=0.02)


@given(outcomes, st.sampled_from("abcd"), floats(0, 1), floats(0, 1))
def test_it_is_a_probability_and_keeps_the_order_within_a_label(
    seen: list[Outcome], label: str, one: float, other: float
) -> None:
    record = calibrate(seen)
    low, high = sorted((one, other))
    assert 0 <= record.calibrated(label, low) <= record.calibrated(label, high) <= 1


def test_the_error_is_the_gap_between_said_and_true() -> None:
    assert expected_calibration_error([], []) == 0
    assert expected_calibration_error([1.0, 1.0], [True, False]) == 0.5
    assert expected_calibration_error([0.0, 1.0], [False, True]) == 0
    # Two bins, 0.85 said where 1 is true and 0.15 where 0 is.
    assert expected_calibration_error([0.85, 0.15], [True, False]) == pytest.approx(0.15)
