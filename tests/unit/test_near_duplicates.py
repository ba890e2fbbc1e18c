"""Near-duplicate search: equal to comparing all pairs, whatever the texts."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import set_join
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates, normalise
from shared.domain.similar_sets import bands

WORDS = ["refund", "refunds", "where", "is", "my", "card", "a", "xx", "?", "CARD", "größe"]
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=12)
thresholds = st.sampled_from([0.3, 0.5, 0.8, 1.0])
# Long texts that differ in a few places, so that many lie just above and below the threshold.
TEMPLATE = "where is my order number {} it was due on {} and nobody answers {} when i {} them"
slots = st.lists(st.sampled_from(["17", "4711", "monday", "friday", "me", "us", "call", "cull"]))
storms = st.lists(st.tuples(slots, st.integers(0, 6)), min_size=20, max_size=60).map(
    lambda rows: [from_template(*row) for row in rows]
)


def from_template(fill: list[str], cut: int) -> str:
    rest = iter(fill)
    words = [next(rest, "so") if word == "{}" else word for word in TEMPLATE.split()]
    return " ".join(words[cut // 2 : len(words) - cut])


def features(text: str) -> tuple[set[str], set[str]]:
    words = set(normalise(text).split())
    return words, {f" {w} "[at : at + 3] for w in words for at in range(len(w))}


def similar(a: str, b: str, threshold: float) -> bool:
    if normalise(a) == normalise(b):
        return True
    pairs = zip(features(a), features(b), strict=True)
    return any(x and y and len(x & y) >= threshold * len(x | y) - 1e-9 for x, y in pairs)


def all_pairs(rows: list[str], threshold: float) -> list[int]:
    group = list(range(len(rows)))
    for at, row in enumerate(rows):
        for other in range(at):
            if similar(row, rows[other], threshold):
                group = [group[other] if g == group[at] else g for g in group]
    numbers: dict[int, int] = {}
    return [numbers.setdefault(g, len(numbers)) for g in group]


@settings(max_examples=50, deadline=None)
@given(texts, thresholds)
def test_groups_are_those_of_comparing_all_pairs(rows: list[str], threshold: float) -> None:
    assert group_near_duplicates(rows, threshold) == all_pairs(rows, threshold)


@settings(max_examples=50, deadline=None)
@given(storms, st.sampled_from([0.7, 0.8, 0.9]))
def test_groups_in_a_storm_are_those_of_comparing_all_pairs(
    rows: list[str], threshold: float
) -> None:
    assert group_near_duplicates(rows, threshold) == all_pairs(rows, threshold)


@settings(max_examples=25, deadline=None)
@given(storms)
def test_small_batches_change_nothing(rows: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_join, "_PAIRS_AT_ONCE", 3)
        assert group_near_duplicates(rows) == all_pairs(rows, 0.8)


@settings(max_examples=50, deadline=None)
@given(storms, storms)
def test_the_index_finds_candidates_as_by_comparing_with_each(
    known: list[str], asked: list[str]
) -> None:
    right = [any(similar(a, k, 0.8) for k in known) for a in asked]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(set_join, "_FEW_PAIRS", 0)
        assert NearDuplicateIndex(known).match_each(asked) == right


@given(st.integers(1, 400), st.integers(1, 400), thresholds)
def test_a_similar_pair_of_sizes_lies_in_a_band_that_allows_its_differences(
    smaller: int, more: int, threshold: float
) -> None:
    larger = min(smaller + more, int(smaller / threshold + 1e-9))
    # The least overlap that reaches the threshold differs most.
    overlap = np.ceil(threshold / (1 + threshold) * (smaller + larger) - 1e-9)
    allowed = [
        band.differing
        for band in bands(np.array([smaller]), threshold)
        if band.low <= smaller <= band.high and larger <= band.reach
    ]
    assert max(allowed) >= smaller + larger - 2 * overlap


@given(st.integers(1, 400), thresholds)
def test_bands_leave_no_size_out(largest: int, threshold: float) -> None:
    found = list(bands(np.array([largest]), threshold))
    assert found[0].low == 1
    assert found[-1].high >= largest
    assert all(after.low == before.high + 1 for before, after in pairwise(found))


@settings(max_examples=50, deadline=None)
@given(texts, texts, thresholds)
def test_the_index_answers_as_comparing_with_each(
    known: list[str], asked: list[str], threshold: float
) -> None:
    index = NearDuplicateIndex(known, threshold)
    right = [any(similar(a, k, threshold) for k in known) for a in asked]
    assert index.match_each(asked) == right
    assert [index.matches(a) for a in asked] == right


@settings(max_examples=50, deadline=None)
@given(texts, st.randoms())
def test_groups_do_not_depend_on_the_order(rows: list[str], rng: random.Random) -> None:
    order = rng.sample(range(len(rows)), len(rows))
    plain, shuffled = group_near_duplicates(rows), group_near_duplicates([rows[at] for at in order])
    for a, at in enumerate(order):
        for b, bt in enumerate(order):
            assert (shuffled[a] == shuffled[b]) == (plain[at] == plain[bt])


@pytest.mark.parametrize(
    "other",
    [
        "Where is the refund for my last order?!",
        "where  is the refund for my last oder",
        "my last order, where is the refund for",
        "where is the refund for my last order please",
    ],
)
def test_case_typos_order_and_one_more_word_are_near(other: str) -> None:
    assert group_near_duplicates(["where is the refund for my last order", other]) == [0, 0]


def test_another_word_in_a_short_question_is_another_question() -> None:
    assert group_near_duplicates(
        ["pay my bill", "pay my rent", "pay my bill now", "yes", "no"]
    ) == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_chains_are_one_group() -> None:
    a = "one two three four five six seven eight nine"
    b, c = f"{a} ten", f"{a} ten eleven twelve"
    assert group_near_duplicates([a, c]) == [0, 1]
    assert group_near_duplicates([a, c, b]) == [0, 0, 0]


def test_texts_without_words_equal_only_themselves() -> None:
    assert group_near_duplicates(["", "  ", "???", "?!", "👍", "👍 "]) == [0, 0, 1, 2, 3, 3]


def test_a_threshold_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"threshold=0: must be above 0"):
        group_near_duplicates(["a"], 0)
