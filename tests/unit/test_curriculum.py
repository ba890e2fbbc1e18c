"""Composition of a training set: shares, precedence, reasons, and what must never happen."""

import random
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesizer.domain.curriculum import Curriculum, compose
from services.synthesizer.domain.material import CONTRADICTION, DUPLICATE, LEAK
from shared.domain.near_duplicates import NearDuplicateIndex, normalise
from shared.domain.pipeline import DataSpec
from shared.domain.rows import FailureRow, Role, Row

LABELS = ["refund", "status", "cancel", "hours"]
# Most cases here have one failing label: without balancing their composition is easy to follow.
FREE = 1000.0
Vectors = npt.NDArray[np.float32]
Case = tuple[list[FailureRow], list[Row], list[Row]]


def vectors(rows: list[Row] | list[FailureRow] | list[Row | FailureRow]) -> Vectors:
    """A unit vector for each row that depends on its text alone."""
    found = [np.random.default_rng([*r.text.encode(), 1]).normal(size=8) for r in rows]
    table = np.array(found, np.float32).reshape(len(rows), 8)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def composed(case: Case, spec: DataSpec, evaluation: tuple[str, ...] = ()) -> Curriculum:
    failures, passes, parent = case
    return compose(
        failures, passes, vectors([*failures, *passes]), parent, spec, evaluation_texts=evaluation
    )


def phrase(number: int) -> str:
    return f"v{number}a w{number}b x{number}c"


def rows(prefix: str, first: int, per_label: int) -> list[Row]:
    return [
        Row(f"{prefix}{label}{at}", phrase(first + at * len(LABELS) + n), label)
        for n, label in enumerate(LABELS)
        for at in range(per_label)
    ]


def failures(count: int, target: str = "status", output: str = "refund") -> list[FailureRow]:
    return [FailureRow(f"f{at}", phrase(10_000 + at), target, output, "p1") for at in range(count)]


texts = st.integers(0, 30).map(phrase) | st.sampled_from(
    ["", "Yes!", "yes", "pay now", "Pay  now."]
)
targets = st.sampled_from(LABELS)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    failed = draw(st.lists(st.tuples(texts, targets, targets), max_size=12))
    right = draw(st.lists(st.tuples(texts, targets), max_size=25))
    taught = draw(st.lists(st.tuples(texts, targets), max_size=15))
    return (
        [FailureRow(f"f{n}", t, y, o, f"p{o}") for n, (t, y, o) in enumerate(failed)],
        [Row(f"t{n}", *pair) for n, pair in enumerate(right)],
        [Row(f"d{n}", *pair) for n, pair in enumerate(taught)],
    )


specs = st.builds(
    DataSpec, size=st.integers(1, 60), surgical=st.integers(0, 3), seed=st.integers(0, 3)
)


@settings(max_examples=50, deadline=None)
@given(cases(), specs, st.lists(texts, max_size=4).map(tuple))
def test_what_must_hold_of_every_training_set(
    case: Case, spec: DataSpec, evaluation: tuple[str, ...]
) -> None:
    curriculum = composed(case, spec, evaluation)
    taken = [normalise(r.text) for r in curriculum.rows]
    assert len(set(taken)) == len(taken)
    assert not any(NearDuplicateIndex(evaluation).match_each(taken))
    assert sum(curriculum.count(role) for role in Role) == len(curriculum.rows)
    assert [r.role for r in curriculum.rows] == sorted(
        (r.role for r in curriculum.rows), key=list(Role).index
    )
    assert all(r.reason for r in curriculum.rows)
    known = {(r.id, r.text, r.target) for part in case for r in part}
    assert {(r.id, r.text, r.target) for r in curriculum.rows} <= known
    measured = NearDuplicateIndex(evaluation)
    corrections = {normalise(r.text) for r in case[0] if not measured.matches(r.text)}
    assert {normalise(r.text) for r in curriculum.rows if r.source == "failure"} == corrections
    taken_out = sum(count for reason, count in curriculum.dropped.items() if "label" not in reason)
    assert len(curriculum.rows) <= sum(map(len, case)) - taken_out


@settings(max_examples=50, deadline=None)
@given(cases(), specs, st.randoms())
def test_the_order_of_the_material_does_not_matter(
    case: Case, spec: DataSpec, rng: random.Random
) -> None:
    shuffled = tuple(rng.sample(part, len(part)) for part in case)
    assert composed(shuffled, spec) == composed(case, spec)


def test_the_shares_are_those_of_the_spec() -> None:
    case = (failures(20), rows("t", 0, 100), rows("d", 1000, 50))
    curriculum = composed(
        case, DataSpec(gold=0.5, hard=0.3, replay=0.2, size=100, max_label_ratio=FREE)
    )
    assert {role: curriculum.count(role) for role in Role} == {
        Role.GOLD: 50,
        Role.HARD: 30,
        Role.REPLAY: 20,
    }
    assert curriculum.shortfall == {}
    assert curriculum.checks.uncontrasted == ()
    gold = [r for r in curriculum.rows if r.role is Role.GOLD]
    assert [r.source for r in gold[:20]] == ["failure"] * 20
    assert {r.target for r in gold} == {"status"}
    assert "status" not in {r.target for r in curriculum.rows if r.role is Role.HARD}


def test_failures_beyond_their_share_all_stay_and_the_whole_grows() -> None:
    case = (failures(40), rows("t", 0, 100), [])
    curriculum = composed(
        case, DataSpec(gold=0.5, hard=0.3, replay=0.2, size=20, max_label_ratio=FREE)
    )
    assert curriculum.count(Role.GOLD) == 40
    assert len(curriculum.rows) == 80


def test_a_label_that_fails_much_is_balanced_by_the_others() -> None:
    curriculum = composed((failures(30), rows("t", 0, 100), []), DataSpec(size=60))
    assert curriculum.count(Role.GOLD) >= 30
    assert 60 <= len(curriculum.rows) < 80
    assert curriculum.checks.label_ratio <= 3


def test_every_label_is_replayed_though_few_rows_are() -> None:
    case = (failures(8), rows("t", 0, 30), [])
    curriculum = composed(
        case, DataSpec(gold=0.6, hard=0.2, replay=0.2, size=20, max_label_ratio=FREE)
    )
    replayed = Counter(r.target for r in curriculum.rows if r.role is Role.REPLAY)
    assert set(replayed) == set(LABELS)


def test_replay_mixes_the_parents_rows_and_passing_traffic() -> None:
    case = (failures(4), rows("t", 0, 50), rows("d", 1000, 5))
    spec = DataSpec(gold=0.2, hard=0.2, replay=0.6, size=40, max_label_ratio=FREE)
    replay = [r for r in composed(case, spec).rows if r.role is Role.REPLAY]
    of = Counter(r.source for r in replay)
    assert min(of["pass"], of["parent"]) >= 8
    assert {r.reason for r in replay if r.source == "parent"} == {
        "replay of the parent's training set"
    }


def test_what_is_missing_is_visible() -> None:
    spec = DataSpec(gold=0.5, hard=0.3, replay=0.2, size=100, max_label_ratio=FREE)
    curriculum = composed((failures(10), rows("t", 0, 2), []), spec)
    assert curriculum.shortfall == {Role.GOLD: 38, Role.HARD: 24, Role.REPLAY: 20}
    assert len(curriculum.rows) == 18


def test_the_parents_rows_fill_the_gold_share_when_traffic_cannot() -> None:
    spec = DataSpec(gold=0.5, hard=0.25, replay=0.25, size=40, max_label_ratio=FREE)
    curriculum = composed((failures(10), [], rows("d", 0, 20)), spec)
    assert curriculum.count(Role.GOLD) == 20
    assert curriculum.shortfall == {Role.HARD: 10}


def test_a_searched_parent_gives_hard_negatives() -> None:
    parent = rows("d", 0, 20)
    spec = DataSpec(gold=0.5, hard=0.25, replay=0.25, size=40, max_label_ratio=FREE)
    failed = failures(10)
    curriculum = compose(
        failed, [], vectors(failed), parent, spec, parent_embeddings=vectors(parent)
    )
    assert curriculum.count(Role.HARD) == 10
    assert curriculum.checks.uncontrasted == ()


def test_of_one_text_with_two_answers_the_correction_stays() -> None:
    failed = [FailureRow("f1", "Where is it?", "status", "refund", "p1")]
    passes = [Row("t1", "where is it", "refund"), Row("t2", "where IS it", "status")]
    curriculum = composed((failed, passes, []), DataSpec())
    assert [(r.id, r.target) for r in curriculum.rows] == [("f1", "status")]
    assert curriculum.dropped == {CONTRADICTION: 1, DUPLICATE: 1}


def test_corrections_that_disagree_follow_the_majority() -> None:
    failed = [
        FailureRow(f"f{at}", "where is it", target, "refund", "p1")
        for at, target in enumerate(["cancel", "status", "status"])
    ]
    curriculum = composed((failed, [], []), DataSpec())
    assert [(r.id, r.target) for r in curriculum.rows] == [("f1", "status")]
    assert curriculum.dropped == {CONTRADICTION: 1, DUPLICATE: 1}


def test_nothing_that_was_ever_evaluated_enters() -> None:
    failed = [FailureRow("f1", "where is my refund please", "status", "refund", "p1")]
    passes = [Row("t1", "Where is my refund, please?", "status"), Row("t2", "pay", "cancel")]
    curriculum = composed((failed, passes, []), DataSpec(), ("where is my refund  please",))
    assert [r.id for r in curriculum.rows] == ["t2"]
    assert curriculum.dropped == {LEAK: 2}


def test_surgical_rows_come_on_top_for_each_pattern() -> None:
    failed = [*failures(5), FailureRow("g", phrase(20_000), "hours", "cancel", "p2")]
    case = (failed, rows("t", 0, 50), [])
    spec = DataSpec(gold=0.5, hard=0.3, replay=0.2, size=40, max_label_ratio=FREE)
    plain = composed(case, spec)
    more = composed(
        case, DataSpec(gold=0.5, hard=0.3, replay=0.2, size=40, max_label_ratio=FREE, surgical=3)
    )
    assert len(more.rows) == len(plain.rows) + 6
    reasons = [r.reason for r in more.rows if r.reason.startswith("surgical")]
    assert Counter(reason.split(":")[0] for reason in reasons) == {
        "surgical for pattern p1": 3,
        "surgical for pattern p2": 3,
    }


def test_reasons_name_the_trace() -> None:
    case = (failures(1), rows("t", 0, 5), [])
    curriculum = composed(
        case, DataSpec(gold=0.5, hard=0.25, replay=0.25, size=8, max_label_ratio=FREE)
    )
    assert [r.reason for r in curriculum.rows][:2] == [
        "failed as refund in trace f0",
        "nearest status to trace f0",
    ]
    hard = next(r for r in curriculum.rows if r.role is Role.HARD)
    assert hard.reason == f"nearest {hard.target} to trace f0, which is status"


def test_vectors_must_fit_the_rows() -> None:
    with pytest.raises(ValueError, match="of failures and passes: 3 rows are needed"):
        compose(failures(3), [], vectors(failures(2)), [], DataSpec())


def test_a_data_spec_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="surgical=-1"):
        DataSpec(surgical=-1)
    with pytest.raises(ValueError, match="max_label_ratio"):
        DataSpec(max_label_ratio=0.5)
