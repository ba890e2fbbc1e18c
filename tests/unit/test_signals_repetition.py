"""Repeated traffic stands for itself once; retry storms are told by their times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.signals.repetition import collapse

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(*seconds: float) -> list[datetime]:
    return [START + timedelta(seconds=one) for one in seconds]


def test_the_earliest_of_a_group_stands_for_all_of_it() -> None:
    texts = ["Where is my card?", "play jazz", "where is my card", "where is my card!!"]
    found = collapse(texts, at(30, 1, 10, 20))
    assert found.group.tolist() == [0, 1, 0, 0]
    assert found.representative.tolist() == [False, True, True, False]
    assert found.stands_for.tolist() == [3, 1, 3, 3]


def test_without_times_the_first_stands_for_its_group_and_nothing_is_a_storm() -> None:
    found = collapse(["a b c", "x y z", "a b c", "a b c"])
    assert found.representative.tolist() == [True, True, False, False]
    assert not found.storm.any()


def test_a_storm_is_one_text_again_and_again_within_seconds() -> None:
    texts = ["pay my bill"] * 4 + ["freeze my account"] * 3 + ["play jazz"] * 2
    found = collapse(texts, at(0, 4, 9, 400, 0, 30, 60, 0, 1))
    assert found.storm.tolist() == [True] * 3 + [False] * 6


def test_a_row_without_a_time_joins_no_storm_and_stands_for_no_timed_row() -> None:
    found = collapse(["pay my bill"] * 4, [None, *at(0, 1, 2)])
    assert found.storm.tolist() == [False, True, True, True]
    assert found.representative.tolist() == [False, True, False, False]


def test_times_must_fit_the_texts() -> None:
    with pytest.raises(ValueError, match="1 times for 2 texts"):
        collapse(["a", "b"], at(0))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["pay bill", "Pay, bill!", "play jazz", "", "???"]),
            st.none() | st.integers(0, 60),
        ),
        max_size=20,
    )
)
def test_every_group_has_one_representative(rows: list[tuple[str, int | None]]) -> None:
    times = [None if s is None else START + timedelta(seconds=s) for _, s in rows]
    found = collapse([text for text, _ in rows], times)
    groups = found.group.tolist()
    assert sorted(found.group[found.representative].tolist()) == sorted(set(groups))
    assert found.stands_for.tolist() == [groups.count(one) for one in groups]
    assert found.stands_for[found.representative].sum() == len(rows)
