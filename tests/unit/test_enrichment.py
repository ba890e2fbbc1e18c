"""Made rows and noisy twins join a curriculum only where they fit."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesizer.domain.controls import check
from services.synthesizer.domain.curriculum import Curriculum
from services.synthesizer.domain.enrichment import CONTRADICTION, KNOWN, LEAK, enrich
from shared.domain.near_duplicates import NearDuplicateIndex, normalise
from shared.domain.pipeline import DataSpec
from shared.domain.rows import Role, TrainingRow
from shared.domain.triage import Family

TEXTS = (
    *(f"please {a} my {b} today" for a in ("pay", "cancel", "move") for b in ("card", "flight")),
    "Please pay my card today!",
    "",
    "???",
    "where is it",
)
NOISE = {Family.PREAMBLE: 0.5, Family.CASING: 0.5}


def made_row(at: int, text: str, target: str) -> TrainingRow:
    return TrainingRow(f"m{at:02d}", text, target, Role.GOLD, "clean form", "made")


def known_row(at: int, text: str, target: str) -> TrainingRow:
    return TrainingRow(f"k{at:02d}", text, target, Role.REPLAY, "parent", "replay")


def curriculum_of(rows: list[TrainingRow]) -> Curriculum:
    return Curriculum(tuple(rows), {"duplicate text": 2}, {}, check(rows, [], [], ratio=3.0))


pairs = st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from("ab")), max_size=12)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Curriculum, list[TrainingRow], list[str]]:
    evaluation = draw(st.lists(st.sampled_from(TEXTS), max_size=2))
    measured = NearDuplicateIndex(evaluation)
    known: dict[str, TrainingRow] = {}
    for at, (text, target) in enumerate(draw(pairs)):
        if not measured.matches(text):
            known.setdefault(normalise(text), known_row(at, text, target))
    made = [made_row(at, *pair) for at, pair in enumerate(draw(pairs))]
    return curriculum_of(list(known.values())), made, evaluation


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 3))
def test_what_must_hold_of_every_enriched_curriculum(
    case: tuple[Curriculum, list[TrainingRow], list[str]], noisy: float, seed: int
) -> None:
    curriculum, made, evaluation = case
    spec = DataSpec(noisy=noisy, seed=seed)
    rich = enrich(curriculum, made, NOISE, spec, evaluation_texts=evaluation)
    assert set(curriculum.rows) <= set(rich.rows)
    texts = [row.text for row in rich.rows]
    assert len(set(texts)) == len(texts)
    assert not any(NearDuplicateIndex(evaluation).match_each(texts))
    answers = {(normalise(row.text), row.target) for row in rich.rows}
    assert len({text for text, _ in answers}) == len(answers)
    taken = [row for row in rich.rows if row in made]
    dropped = Counter(rich.dropped) - Counter(curriculum.dropped)
    assert len(taken) + dropped.total() == len(made)
    assert set(dropped) <= {LEAK, CONTRADICTION, KNOWN}
    twins = len(rich.rows) - len(curriculum.rows) - len(taken)
    assert 0 <= twins <= len(curriculum.rows) + len(taken)
    assert noisy or not twins


@settings(max_examples=30, deadline=None)
@given(cases(), st.randoms())
def test_the_order_of_the_made_rows_does_not_matter(
    case: tuple[Curriculum, list[TrainingRow], list[str]], rng: random.Random
) -> None:
    curriculum, made, evaluation = case
    spec = DataSpec(noisy=0.5)
    plain = enrich(curriculum, made, NOISE, spec, evaluation_texts=evaluation)
    shuffled = rng.sample(made, len(made))
    assert enrich(curriculum, shuffled, NOISE, spec, evaluation_texts=evaluation) == plain


def test_each_made_row_that_does_not_fit_is_dropped_and_counted() -> None:
    curriculum = curriculum_of([known_row(0, "pay my card today", "a")])
    made = [
        made_row(0, "where is my parcel now", "a"),
        made_row(1, "Pay my card today", "b"),
        made_row(2, "pay my card today", "a"),
        made_row(3, "block the lost card", "b"),
        made_row(4, "block the lost card", "b"),
        made_row(5, "block THE lost card", "a"),
    ]
    evaluation = ["Where is my parcel now?"]
    rich = enrich(curriculum, made, {}, DataSpec(), evaluation_texts=evaluation)
    assert [row.id for row in rich.rows] == ["k00", "m03"]
    assert rich.dropped == {CONTRADICTION: 2, "duplicate text": 2, KNOWN: 2, LEAK: 1}


def test_a_form_that_differs_in_case_alone_is_a_pair_to_learn_from() -> None:
    curriculum = curriculum_of([known_row(0, "PAY MY CARD TODAY", "a")])
    made = [made_row(0, "pay my card today", "a")]
    rich = enrich(curriculum, made, {}, DataSpec(), evaluation_texts=[])
    assert [row.text for row in rich.rows] == ["PAY MY CARD TODAY", "pay my card today"]


def test_made_rows_get_twins_too() -> None:
    curriculum = curriculum_of([known_row(0, "pay my card today", "a")])
    made = [made_row(0, "block the lost card", "b")]
    rich = enrich(curriculum, made, NOISE, DataSpec(noisy=1.0), evaluation_texts=[])
    twins = [row for row in rich.rows if row.source == "twin"]
    assert len(twins) == 2
    assert {row.target for row in twins} == {"a", "b"}


def test_a_twin_near_an_evaluation_text_is_left_out() -> None:
    # Its own row is far from what is asked, the noisy form is not.
    curriculum = curriculum_of([known_row(0, "pay the card", "a")])
    spec = DataSpec(noisy=1.0)
    noise = {Family.PREAMBLE: 1.0}
    (_, twin) = enrich(curriculum, [], noise, spec, evaluation_texts=[]).rows
    assert not NearDuplicateIndex([twin.text]).matches("pay the card")
    rich = enrich(curriculum, [], noise, spec, evaluation_texts=[twin.text.upper()])
    assert rich.rows == curriculum.rows


def test_without_anything_to_add_the_curriculum_stays() -> None:
    curriculum = curriculum_of([known_row(0, "pay my card today", "a")])
    spec = DataSpec(noisy=1.0)
    assert enrich(curriculum, [], {}, spec, evaluation_texts=[]) == curriculum
