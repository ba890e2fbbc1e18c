"""What sample sizes can show: exact p-values and the blind spot of the gate."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from services.verifier.domain.power import (
    mcnemar_p,
    pass_probability,
    power_warning,
    rows_needed,
    smallest_detectable_drop,
)
from tests.unit.floats import floats

counts = st.integers(0, 300)
epsilons = st.integers(0, 6)


@given(counts, counts)
def test_mcnemar_is_the_exact_two_sided_binomial_test(broken: int, repaired: int) -> None:
    p = mcnemar_p(broken, repaired)
    assert 0 < p <= 1
    assert p == mcnemar_p(repaired, broken)
    if broken + repaired:
        assert p == pytest.approx(binomtest(broken, broken + repaired).pvalue, rel=1e-9)


def test_mcnemar_of_a_known_table() -> None:
    assert mcnemar_p(0, 0) == 1.0
    assert mcnemar_p(1, 9) == pytest.approx(22 / 1024)
    assert 0 < mcnemar_p(0, 1000) < 1e-300


@given(st.integers(1, 2000), floats(0.001, 0.999), epsilons)
def test_pass_probability_is_binomial(rows: int, drop: float, epsilon: int) -> None:
    expected = binom.cdf(epsilon, rows, drop)
    assert pass_probability(rows, drop, epsilon=epsilon) == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 1000), epsilons)
def test_smallest_detectable_drop_is_refused_four_times_in_five(rows: int, epsilon: int) -> None:
    drop = smallest_detectable_drop(rows, epsilon=epsilon)
    if rows <= epsilon:
        assert drop == inf
    else:
        assert pass_probability(rows, drop, epsilon=epsilon) == pytest.approx(0.2, abs=1e-6)
        assert smallest_detectable_drop(rows + 1, epsilon=epsilon) < drop


@given(floats(0.005, 0.9), epsilons)
def test_rows_needed_is_the_least_that_suffices(drop: float, epsilon: int) -> None:
    rows = rows_needed(drop, epsilon=epsilon)
    assert pass_probability(rows, drop, epsilon=epsilon) <= 0.2 + 1e-9
    assert pass_probability(rows - 1, drop, epsilon=epsilon) > 0.2 - 1e-9


def test_rows_needed_refuses_a_drop_that_is_no_share() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rows_needed(0.0, epsilon=2)


def test_warning_names_rows_drop_and_remedy() -> None:
    needed = rows_needed(0.05, epsilon=2)
    warning = power_warning("regression", 30, epsilon=2)
    assert warning is not None
    assert "30 rows" in warning
    assert f"{smallest_detectable_drop(30, epsilon=2):.1%}" in warning
    assert f"{needed} such rows" in warning
    assert power_warning("regression", needed - 1, epsilon=2)
    assert power_warning("regression", needed, epsilon=2) is None


def test_a_set_within_epsilon_can_show_nothing() -> None:
    assert pass_probability(1, 0.9, epsilon=6) == 1.0
    warning = power_warning("regression", 2, epsilon=2)
    assert warning is not None
    assert "no drop at all can be seen" in warning
