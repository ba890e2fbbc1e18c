"""Rows that go through the model together: none is lost, and no part grows beyond its limit."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.batches import training_batches, within_memory

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@given(LENGTHS, st.integers(1, 200))
def test_parts_hold_every_row_once_within_the_limit(lengths: list[int], tokens: int) -> None:
    rows = [[0] * length for length in lengths]
    parts = list(within_memory(range(len(rows)), rows, tokens=tokens))
    assert [index for part in parts for index in part] == list(range(len(rows)))
    for part in parts:
        padded = max(lengths[index] for index in part) * len(part)
        assert padded <= tokens or len(part) == 1


@given(LENGTHS, st.integers(1, 40), st.integers(0, 9))
def test_an_epoch_sees_every_row_once(lengths: list[int], size: int, seed: int) -> None:
    batches = training_batches(lengths, size=size, rng=Random(seed))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
