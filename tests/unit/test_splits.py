"""What is trained on and what is measured stay apart."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.splits import measured_passes, split_failures, training_pool
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates, normalise
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from tests.unit.floats import floats

VERBS = ["pay", "cancel", "move", "read", "find", "stop", "block", "open"]
THINGS = ["card", "rent", "refund", "meeting", "flight", "list", "alarm", "visa"]


def trace(at: int, text: str, label: str) -> JudgedTrace:
    return JudgedTrace(f"t{at:03d}", text, label, Verdict.PASS, label, VerdictSource.HUMAN)


def make(rows: list[tuple[str, str, str, str]]) -> list[JudgedTrace]:
    return [
        trace(at, f"please {verb} my {thing} now{end}", label)
        for at, (verb, thing, end, label) in enumerate(rows)
    ]


traces = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.sampled_from(THINGS),
        st.sampled_from(["", "!", " PLEASE", " or today"]),
        st.sampled_from("abc"),
    ),
    max_size=40,
).map(make)
shares = floats(0.05, 0.95)


def distinct(count: int, label: str, start: int = 0) -> list[JudgedTrace]:
    """Traces of which no two are near-duplicates."""
    return [trace(at, f"v{at}x{at} w{at}y{at} z{at}", label) for at in range(start, start + count)]


@settings(max_examples=50, deadline=None)
@given(traces, shares, st.integers(0, 5))
def test_the_split_loses_nothing_and_separates_no_group(
    failures: list[JudgedTrace], share: float, seed: int
) -> None:
    repair, heldout = split_failures(failures, heldout_share=share, seed=seed)
    assert sorted(t.id for t in repair + heldout) == [t.id for t in failures]
    near = NearDuplicateIndex(t.text for t in repair)
    assert not any(near.match_each([t.text for t in heldout]))
    if len(set(group_near_duplicates([t.text for t in failures]))) > 1:
        assert repair
        assert heldout


@settings(max_examples=50, deadline=None)
@given(traces, traces, shares)
def test_groups_of_more_rows_separate_no_near_duplicates_either(
    failures: list[JudgedTrace], others: list[JudgedTrace], share: float
) -> None:
    texts = [t.text for t in failures]
    groups = group_near_duplicates([*texts, *(t.text for t in others)])[: len(texts)]
    repair, heldout = split_failures(failures, heldout_share=share, seed=1, groups=groups)
    assert sorted(t.id for t in repair + heldout) == [t.id for t in failures]
    near = NearDuplicateIndex(t.text for t in repair)
    assert not any(near.match_each([t.text for t in heldout]))
    own = group_near_duplicates(texts)
    assert bool(repair and heldout) == (len(set(own)) > 1)
    plain = split_failures(failures, heldout_share=share, seed=1)
    assert split_failures(failures, heldout_share=share, seed=1, groups=own) == plain


def test_groups_are_one_for_each_failure() -> None:
    with pytest.raises(ValueError, match="1 groups for 2 failures"):
        split_failures(distinct(2, "a"), heldout_share=0.5, seed=1, groups=[0])


@settings(max_examples=50, deadline=None)
@given(traces, shares, st.randoms())
def test_the_split_does_not_depend_on_the_order(
    failures: list[JudgedTrace], share: float, rng: random.Random
) -> None:
    shuffled = rng.sample(failures, len(failures))
    plain = split_failures(failures, heldout_share=share, seed=1)
    assert split_failures(shuffled, heldout_share=share, seed=1) == plain


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.sampled_from([0.2, 0.3, 0.5]))
def test_every_label_gives_its_share(sizes: list[int], share: float) -> None:
    failures: list[JudgedTrace] = []
    for label, size in enumerate(sizes):
        failures += distinct(size, f"label{label}", len(failures))
    _, heldout = split_failures(failures, heldout_share=share, seed=3)
    given_by = Counter(t.corrected for t in heldout)
    for label, size in enumerate(sizes):
        assert abs(given_by[f"label{label}"] - share * size) <= 1.0 + 1e-6
    assert abs(len(heldout) - share * len(failures)) <= 1.0


def test_another_seed_splits_otherwise() -> None:
    failures = distinct(40, "a")
    first, second = (split_failures(failures, heldout_share=0.5, seed=s)[1] for s in (1, 2))
    assert first != second


@settings(max_examples=50, deadline=None)
@given(traces, traces, st.integers(0, 60), floats(0.3, 1.0))
def test_the_regression_set_repeats_nothing_and_avoids_what_is_trained_on(
    passes: list[JudgedTrace], repair: list[JudgedTrace], size: int, share: float
) -> None:
    chosen, _ = measured_passes(passes, repair, heldout_size=size, share=share, seed=1)
    texts = [t.text for t in chosen]
    assert len(chosen) <= round(share * size)
    assert len(set(group_near_duplicates(texts))) == len(texts)
    assert not any(NearDuplicateIndex(t.text for t in repair).match_each(texts))


def test_labels_take_turns_in_the_regression_set() -> None:
    passes = distinct(50, "often") + distinct(4, "seldom", 50) + distinct(1, "once", 54)
    chosen, _ = measured_passes(passes, [], heldout_size=20, share=0.5, seed=1)
    assert Counter(t.corrected for t in chosen) == {"often": 5, "seldom": 4, "once": 1}
    # A model that mostly fails is taught half of what it does right.
    assert len(measured_passes(passes, [], heldout_size=90, share=1.0, seed=1)[0]) == 28


def test_the_regression_set_finds_enough_among_many_repeats() -> None:
    passes = [trace(at, "where is my refund", "a") for at in range(90)] + distinct(6, "a", 90)
    assert len(measured_passes(passes, [], heldout_size=5, share=1.0, seed=1)[0]) == 5


def test_passes_on_loan_are_others_and_leave_most_to_learn_from() -> None:
    passes = distinct(100, "often") + distinct(20, "seldom", 100)
    guarded, lent = measured_passes(
        passes, [], heldout_size=10, share=1.0, seed=1, least=40, on_loan=30
    )
    assert (len(guarded), len(lent)) == (15, 26)
    assert not {t.id for t in guarded} & {t.id for t in lent}
    assert {t.corrected for t in lent} == {"often", "seldom"}
    _, most = measured_passes(passes, [], heldout_size=10, share=1.0, seed=1, on_loan=1_000)
    assert len(most) == (120 - 10) // 4


@settings(max_examples=50, deadline=None)
@given(traces, traces)
def test_the_training_pool_holds_each_text_once_and_nothing_measured(
    passes: list[JudgedTrace], measured: list[JudgedTrace]
) -> None:
    texts = [t.text for t in measured]
    pool = training_pool(passes, texts)
    near = NearDuplicateIndex(texts)
    assert {normalise(t.text) for t in pool} == {
        normalise(t.text) for t in passes if not near.matches(t.text)
    }
    assert len({normalise(t.text) for t in pool}) == len(pool)
    assert pool == training_pool(passes[::-1], texts)


def test_shares_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"heldout_share=1: must lie between"):
        split_failures([], heldout_share=1, seed=1)
    with pytest.raises(ValueError, match=r"share=0.2"):
        measured_passes([], [], heldout_size=9, share=0.2, seed=1)
