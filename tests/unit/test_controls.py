"""The curation controls: balance, leaks, lengths, surface patterns, contrast."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesizer.domain.controls import balance, check, leaks, length_penalty, surface
from services.synthesizer.domain.hard_negatives import NONE, correct_examples, hard_negatives
from shared.domain.rows import FailureRow, Role, Row, TrainingRow


def row(at: int, label: str, role: Role = Role.REPLAY, source: str = "pass") -> TrainingRow:
    return TrainingRow(f"{role}{source}{label}{at}", f"text {at}", label, role, source, "")


def many(label: str, failures: int, hard: int, replay: int) -> list[TrainingRow]:
    rows = [row(at, label, Role.GOLD, "failure") for at in range(failures)]
    rows += [row(at, label, Role.HARD) for at in range(hard)]
    return rows + [row(at, label) for at in range(replay)]


numbers = st.integers(0, 25)
labels = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(numbers, numbers, numbers, numbers), min_size=1
)
Sizes = dict[str, tuple[int, int, int, int]]


def parts(sizes: Sizes) -> tuple[list[TrainingRow], list[TrainingRow]]:
    rows = [r for label, (f, h, p, _) in sizes.items() for r in many(label, f, h, p)]
    rows.sort(key=lambda r: list(Role).index(r.role))
    reserve = [
        row(at, label, Role.REPLAY, "spare") for label in sizes for at in range(sizes[label][3])
    ]
    return rows, reserve


@settings(max_examples=50, deadline=None)
@given(labels, st.floats(1.0, 5.0), st.integers(1, 200))
def test_balancing_keeps_every_failure_and_counts_right(
    sizes: Sizes, ratio: float, aim: int
) -> None:
    rows, reserve = parts(sizes)
    balanced = balance(rows, reserve, ratio=ratio, aim=aim)
    assert len(set(balanced.rows)) == len(balanced.rows)
    assert set(balanced.rows) <= {*rows, *reserve}
    assert {r for r in rows if r.source == "failure"} <= set(balanced.rows)
    assert len(rows) - balanced.capped + balanced.added == len(balanced.rows)


@settings(max_examples=50, deadline=None)
@given(labels, st.floats(1.0, 5.0), st.integers(0, 100))
def test_no_label_exceeds_the_ratio_when_there_are_rows_enough(
    sizes: Sizes, ratio: float, extra: int
) -> None:
    # Rows enough: every label could become as large as the largest one is.
    largest = max(1, *(sum(rows[:3]) for rows in sizes.values()))
    full = {k: (*rows[:3], largest - sum(rows[:3])) for k, rows in sizes.items()}
    rows, reserve = parts(full)
    most_failures = max(f for f, _, _, _ in sizes.values())
    aim = most_failures * len(sizes) + extra + 1
    counts = Counter(r.target for r in balance(rows, reserve, ratio=ratio, aim=aim).rows)
    if rows:
        assert set(counts) == set(sizes)
        assert max(counts.values()) <= ratio * min(counts.values())


def test_replay_is_capped_first_then_hard_rows() -> None:
    rows = many("a", 4, 4, 4) + many("b", 2, 0, 0)
    rows.sort(key=lambda r: list(Role).index(r.role))
    kept = balance(rows, [], ratio=3, aim=12).rows
    assert Counter((r.target, r.role) for r in kept) == {
        ("a", Role.GOLD): 4,
        ("a", Role.HARD): 2,
        ("b", Role.GOLD): 2,
    }


def test_a_label_without_any_row_left_is_reported_and_holds_nobody_down() -> None:
    rows = many("a", 0, 0, 30) + many("b", 0, 0, 30) + many("c", 1, 0, 0)
    balanced = balance(rows, [], ratio=3, aim=61)
    assert len(balanced.rows) == 61
    assert check(balanced.rows, [], [], ratio=3).rare_labels == ("c",)


def test_a_rare_label_is_topped_up_from_the_reserve() -> None:
    reserve = [row(at, "b", source="spare") for at in range(9)]
    balanced = balance(many("a", 12, 0, 0) + many("b", 1, 0, 0), reserve, ratio=3, aim=16)
    assert Counter(r.target for r in balanced.rows) == {"a": 12, "b": 4}
    assert balanced.rows[-3:] == tuple(reserve[:3])


def test_topping_up_stops_at_twice_the_rows_aimed_at() -> None:
    reserve = [row(at, label, source="spare") for label in "bcdefgh" for at in range(50)]
    assert len(balance(many("a", 60, 0, 0), reserve, ratio=1, aim=60).rows) == 120


def test_a_near_duplicate_of_an_evaluation_text_leaks() -> None:
    rows = [Row("1", "Where is my refund please", "a"), Row("2", "cancel the flight", "b")]
    assert leaks(rows, ["where is my refund, please?"]) == [True, False]


def test_lengths_are_compared_and_those_outside_cost() -> None:
    failing = ["one two three four five six"] * 5
    short = [TrainingRow("1", "one two", "a", Role.GOLD, "pass", "")]
    alike = [TrainingRow("2", failing[0], "a", Role.GOLD, "pass", "")]
    assert check(short, failing, [], ratio=3).length_distance == 1.0
    assert check(alike, failing, [], ratio=3).length_distance == 0.0
    assert check(short, failing, [], ratio=3).training_lengths == (2.0, 2.0, 2.0)
    assert check([*short, *alike], failing, [], ratio=3).length_distance == 0.5
    penalty = length_penalty(["one", "one two three four five", failing[0], "w " * 40], failing)
    assert penalty[2] == 0
    assert penalty[3] > penalty[0] > penalty[1] > 0


def test_a_label_of_one_form_is_narrow() -> None:
    texts = ["pay my bill", "Pay my rent", "can I pay?", "can i pay", "bill due"]
    rows = [TrainingRow(t, t, "wide", Role.GOLD, "pass", "") for t in texts]
    rows += [TrainingRow(t, t, "slim", Role.GOLD, "pass", "") for t in texts[:2]]
    assert surface(texts[0]) == surface(texts[1]) != surface(texts[2]) != surface(texts[3])
    assert check(rows, [], [], ratio=3).narrow_labels == {"slim": 1}


POOL = [Row(str(at), f"text {at}", label) for at, label in enumerate("xyzyx")]
ANGLES = np.radians([0, 10, 5, 30, 40])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def test_hard_negatives_are_near_and_prefer_what_the_model_fell_for() -> None:
    failure = FailureRow("f", "text", "x", "y", "p")
    found = hard_negatives([failure], VECTORS[:1], POOL, VECTORS, count=5)
    # Row 1 (y, 10°) before row 2 (z, 5°); the rows of the right answer are no contrast.
    assert found.tolist() == [[1, 3, 2, NONE, NONE]] or found.tolist() == [[1, 2, 3, NONE, NONE]]
    support = correct_examples([failure], VECTORS[:1], POOL, VECTORS, count=2)
    assert support.tolist() == [[0, 4]]


def test_a_penalty_moves_a_row_back() -> None:
    failure = FailureRow("f", "text", "y", "unknown", "p")
    penalty = np.array([0.5, 0, 0, 0, 0], np.float32)
    plain = hard_negatives([failure], VECTORS[:1], POOL, VECTORS, count=3)
    moved = hard_negatives([failure], VECTORS[:1], POOL, VECTORS, count=3, penalty=penalty)
    assert plain.tolist() == [[0, 2, 4]]
    assert moved.tolist() == [[2, 4, 0]]


@pytest.mark.parametrize("pool", [[], POOL[:1]])
def test_a_pool_without_another_answer_gives_none(pool: list[Row]) -> None:
    failure = FailureRow("f", "text", "x", "y", "p")
    found = hard_negatives([failure], VECTORS[:1], pool, VECTORS[: len(pool)], count=3)
    assert all(at == NONE for at in found.ravel().tolist())
