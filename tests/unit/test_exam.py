"""The locked set of a cold start: apart from what is learned, of all labels, always the same."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesizer.domain.exam import (
    DUPLICATE,
    NEGATIVE,
    PAIR,
    POSITIVE,
    ExamSpec,
    HeldOut,
    check_exam,
    hold_out,
)
from shared.domain.ids import derive_id
from shared.domain.near_duplicates import NearDuplicateIndex, group_near_duplicates, normalise
from shared.domain.rows import EvalRow, Row, dump_rows, guarded, load_rows, released
from shared.errors import BadInput
from tests.unit.floats import floats

VERBS = ["pay", "cancel", "move", "read", "find", "stop", "block", "open"]
THINGS = ["card", "rent", "refund", "meeting", "flight", "list", "alarm", "visa"]


def row(text: str, label: str) -> Row:
    return Row(derive_id("row", text, label), text, label)


def made(found: list[tuple[str, str, str, str]]) -> list[Row]:
    """Rows of which equal texts have equal answers."""
    answers: dict[str, str] = {}
    rows: list[Row] = []
    for verb, thing, end, label in found:
        text = f"please {verb} my {thing} now{end}"
        rows.append(row(text, answers.setdefault(normalise(text), label)))
    return rows


rows_of_few_words = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.sampled_from(THINGS),
        st.sampled_from(["", "!", " PLEASE", " or today"]),
        st.sampled_from("abc"),
    ),
    min_size=1,
    max_size=50,
).map(made)
specs = st.builds(
    ExamSpec,
    share=floats(0.05, 0.9),
    least=st.integers(1, 20),
    most=st.integers(1, 40),
    negatives=floats(0, 0.5),
    pairs=floats(0, 0.5),
    seed=st.integers(0, 3),
)


def held(rows: Sequence[Row], spec: ExamSpec | None = None, test: Sequence[Row] = ()) -> HeldOut:
    return hold_out(rows, sort=str, spec=spec or ExamSpec(), test=test)


@settings(max_examples=30, deadline=None)
@given(rows_of_few_words, specs)
def test_nothing_that_is_learned_resembles_what_is_measured(
    rows: list[Row], spec: ExamSpec
) -> None:
    found = held(rows, spec)
    near = NearDuplicateIndex(one.text for one in found.exam)
    assert not any(near.match_each([one.text for one in found.material]))
    given_texts = {one.text for one in rows}
    assert {one.text for one in (*found.material, *found.exam)} <= given_texts
    assert len(found.material) + len(found.exam) + sum(found.dropped.values()) == len(rows)


@settings(max_examples=30, deadline=None)
@given(rows_of_few_words, specs, st.randoms(use_true_random=False))
def test_equal_rows_in_any_order_give_the_same_digest(
    rows: list[Row], spec: ExamSpec, rng: random.Random
) -> None:
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert dump_rows(held(rows, spec).exam) == dump_rows(held(shuffled, spec).exam)


@settings(max_examples=30, deadline=None)
@given(rows_of_few_words, specs)
def test_a_label_with_two_ways_of_saying_keeps_one_to_learn(
    rows: list[Row], spec: ExamSpec
) -> None:
    groups: dict[str, set[int]] = {}
    for one, group in zip(rows, group_near_duplicates([r.text for r in rows]), strict=True):
        groups.setdefault(one.target, set()).add(group)
    learned = {one.target for one in held(rows, spec).material}
    assert {label for label, found in groups.items() if len(found) > 1} <= learned


def distinct(label: str, count: int) -> list[Row]:
    return [row(f"{label}v{n}x{n} {label}w{n}y{n} {label}z{n}", label) for n in range(count)]


def test_each_label_is_measured_and_the_rest_is_balanced() -> None:
    rows = distinct("a", 200) + distinct("b", 60) + distinct("c", 2)
    found = held(rows, ExamSpec(share=0.2))
    counts = Counter(one.target for one in found.exam)
    assert counts["c"] == 1
    assert abs(counts["a"] - counts["b"]) <= len(found.exam) // 2
    assert counts["b"] <= 30
    assert len(found.exam) == round(0.2 * len(rows))


def test_near_rows_of_two_answers_become_boundary_pairs() -> None:
    plain = distinct("a", 30) + distinct("b", 30)
    close = [
        row("wire the money to my landlord at once", "a"),
        row("wire the money to my landlord never", "b"),
    ]
    found = held([*plain, *close])
    parts = {one.text: one.pattern for one in found.exam}
    assert [parts[one.text] for one in close] == [PAIR, PAIR]
    assert found.parts[POSITIVE] > 0


def test_a_row_among_rows_of_another_answer_is_a_negative() -> None:
    crowd = [row(f"wire the money {n}k{n} {n}j{n} {n}q{n}", "a") for n in range(12)]
    stranger = row("wire the money 3k3 unless", "b")
    found = held([*crowd, *distinct("b", 12), stranger], ExamSpec(pairs=0.0))
    assert {one.id: one.pattern for one in found.exam}[stranger.id] == NEGATIVE
    assert held([*crowd, *distinct("b", 12)]).parts.get(NEGATIVE) is None


def test_a_test_part_is_measured_and_its_near_rows_are_not_learned() -> None:
    rows, test = (
        distinct("a", 20) + distinct("b", 20),
        [*distinct("b", 25)[20:], row("av3x3 aw3y3 az3 please", "a")],
    )
    found = held(rows, ExamSpec(), test=test)
    assert {one.id for one in found.exam} == {one.id for one in test}
    assert len(found.material) == len(rows) - NearDuplicateIndex(t.text for t in test).match_each(
        [r.text for r in rows]
    ).count(True)


def test_no_later_run_may_learn_a_locked_row() -> None:
    exam = load_rows(dump_rows(held(distinct("a", 20) + distinct("b", 20)).exam), EvalRow)
    assert released(exam) == []
    assert guarded(exam) == exam


def test_a_set_that_can_show_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="nothing shows that a model is better than chance"):
        check_exam(held(distinct("a", 40) + distinct("b", 4)).exam)
    check_exam(held(distinct("a", 40) + distinct("b", 20)).exam)


@pytest.mark.parametrize(
    "wrong", [{"share": 0.0}, {"share": 1.0}, {"most": 0}, {"negatives": 0.6, "pairs": 0.6}]
)
def test_a_spec_that_cannot_be_met_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="="):
        ExamSpec(**wrong)  # type: ignore[arg-type]


def test_free_answers_have_positives_and_pairs_of_near_prompts_alone() -> None:
    """All of one sort: only near-duplicates of another answer are more than an ordinary row."""
    rows = [row(f"{verb} the {thing}", f"{thing} {verb}") for verb in VERBS for thing in THINGS]
    twins = [row(f"how many {n} apples are there in {n} bags", str(n)) for n in (3, 4)]
    free = hold_out(rows, sort=lambda _: "an answer", spec=ExamSpec())
    assert free.parts.keys() == {POSITIVE}
    both = hold_out([*rows, *twins], sort=lambda _: "an answer", spec=ExamSpec(share=0.45))
    asked = {one.text: one.pattern for one in both.exam}
    assert {asked.get(twin.text, PAIR) for twin in twins} == {PAIR}
    learned = {one.text for one in both.material}
    assert len({twin.text for twin in twins} & learned) in (0, 2)


def test_prompts_that_differ_by_a_sign_are_all_kept() -> None:
    rows = [
        row(f"what is {a} {sign} {b}", f"{a}{sign}{b}")
        for a in range(10)
        for b in range(3)
        for sign in "+-*"
    ]
    exact = hold_out(rows, sort=lambda _: "an answer", spec=ExamSpec(), same=str.strip)
    assert DUPLICATE not in exact.dropped
    assert hold_out(rows, sort=lambda _: "an answer", spec=ExamSpec()).dropped[DUPLICATE] == 60
