"""Noisy forms of right rows: few, told apart, and with the answer of the row."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesizer.domain.noisy_twins import noisy_twins
from shared.domain.near_duplicates import normalise
from shared.domain.rows import Role, TrainingRow
from shared.domain.triage import FIXABLE_FAMILIES, Family
from tests.unit.floats import floats

VERBS = ["pay", "cancel", "move", "find", "Block", "send me"]
THINGS = ["the card", "a refund", "my meeting", "flight", "the list", "an alarm"]
LABELS = "ab"
ALL = dict.fromkeys(sorted(FIXABLE_FAMILIES), 0.1)


def row(at: int, text: str, target: str = "a") -> TrainingRow:
    return TrainingRow(f"t{at:03d}", text, target, Role.GOLD, "pass", "a reason")


@st.composite
def training_rows(draw: st.DrawFn) -> list[TrainingRow]:
    """Rows whose texts have one answer each, as a curriculum's have."""
    said = st.tuples(st.sampled_from(VERBS), st.sampled_from(THINGS), st.sampled_from(["", "?"]))
    texts = [f"please {a} {b} today{end}" for a, b, end in draw(st.lists(said, max_size=25))]
    answers = {normalise(text): draw(st.sampled_from(LABELS)) for text in texts}
    return [row(at, text, answers[normalise(text)]) for at, text in enumerate(texts)]


noises = st.dictionaries(st.sampled_from(sorted(FIXABLE_FAMILIES)), floats(0, 1), max_size=4)


@settings(max_examples=60, deadline=None)
@given(training_rows(), noises, floats(0, 1), st.integers(0, 5))
def test_what_must_hold_of_all_twins(
    rows: list[TrainingRow], noise: dict[Family, float], share: float, seed: int
) -> None:
    twins = noisy_twins(rows, noise, share=share, seed=seed)
    assert twins == noisy_twins(rows, noise, share=share, seed=seed)
    of_id = {one.id: one for one in rows}
    parents = [next(one for one in rows if f"row {one.id}" in twin.reason) for twin in twins]
    assert len({parent.id for parent in parents}) == len(parents)
    for twin, parent in zip(twins, parents, strict=True):
        assert (twin.target, twin.role) == (parent.target, parent.role)
        assert twin.id not in of_id
        assert any(noise[Family(name)] > 0 for name in noise if name in twin.reason)
    texts = [one.text for one in (*rows, *twins)]
    assert len(set(texts)) == len(texts) - (len(rows) - len({one.text for one in rows}))
    answers: dict[str, set[str]] = {}
    for one in (*rows, *twins):
        answers.setdefault(normalise(one.text), set()).add(one.target)
    assert all(len(given_) == 1 for given_ in answers.values())


def many(count: int) -> list[TrainingRow]:
    return [row(at, f"please move meeting number {at} to the other room") for at in range(count)]


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_share_is_respected(share: float) -> None:
    twins = noisy_twins(many(400), {Family.PREAMBLE: 0.2}, share=share, seed=3)
    assert len(twins) == pytest.approx(share * 400, abs=40)


def test_families_come_as_often_as_in_traffic() -> None:
    noise = {Family.PREAMBLE: 0.3, Family.CASING: 0.1, Family.SLANG: 0.0}
    twins = noisy_twins(many(400), noise, share=1.0, seed=3)
    seen = Counter(twin.reason.split()[0] for twin in twins)
    assert set(seen) == {"preamble", "casing"}
    assert seen["preamble"] == pytest.approx(300, abs=40)


def test_without_noise_or_share_there_are_no_twins() -> None:
    rows = many(20)
    assert noisy_twins(rows, {}, share=1.0, seed=1) == []
    assert noisy_twins(rows, {Family.CASING: 0.0}, share=1.0, seed=1) == []
    assert noisy_twins(rows, ALL, share=0.0, seed=1) == []


def test_more_rows_leave_the_twins_of_others_as_they_are() -> None:
    some = noisy_twins(many(100), ALL, share=0.5, seed=1)
    assert noisy_twins(many(200), ALL, share=0.5, seed=1)[: len(some)] == some
    assert noisy_twins(many(100), ALL, share=0.5, seed=2) != some


def test_two_rows_that_one_noise_makes_equal_do_not_contradict_each_other() -> None:
    rows = [row(0, "can you block a card", "a"), row(1, "Can you block the card", "b")]
    for seed in range(40):
        twins = noisy_twins(rows, {Family.GRAMMAR: 1.0}, share=1.0, seed=seed)
        answers = {normalise(twin.text): twin.target for twin in twins}
        assert len(answers) == len(twins)


def test_a_twin_says_what_it_is() -> None:
    twins = noisy_twins(many(10), ALL, share=1.0, seed=1)
    assert {twin.source for twin in twins} == {"twin"}
