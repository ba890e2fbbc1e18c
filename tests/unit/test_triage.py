"""One verdict for each row: how signals are weighed, and what is found among real texts."""

import random
from dataclasses import replace
from functools import cache
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.diagnoser.domain.triage import Triaged, decide, triage
from shared.domain.traces import VerdictSource
from shared.domain.triage import (
    FIXABLE_FAMILIES,
    Evidence,
    Family,
    TriageKind,
    TriageVerdict,
    kind_of,
)
from tests.unit.desk_traffic import (
    LABELS,
    POISON,
    clean_rows,
    failing,
    planted,
    texts,
    traffic_of,
    trusted_rows,
)
from tests.unit.floats import floats

HARMFUL = tuple(family for family in Family if kind_of(family) is not TriageKind.FIXABLE)
FLIPS = 16


def evidence_of(families: tuple[Family, ...]) -> st.SearchStrategy[Evidence]:
    return st.builds(
        Evidence,
        st.sampled_from(["a", "b"]),
        st.sampled_from(families),
        st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]) | floats(0, 1),
        st.sampled_from(["seen", "seen too"]),
    )


any_evidence = st.lists(evidence_of(tuple(Family)), max_size=6)


def harm(verdict: TriageVerdict) -> float:
    """The probability that something is wrong with the row."""
    fixable = verdict.kind is TriageKind.FIXABLE
    return 1 - verdict.confidence if fixable else verdict.confidence


@given(any_evidence, st.booleans(), st.randoms())
def test_the_order_of_the_evidence_does_not_matter(
    evidence: list[Evidence], released: bool, rng: random.Random
) -> None:
    shuffled = rng.sample(evidence, len(evidence))
    assert decide(shuffled, released=released) == decide(evidence, released=released)


@given(any_evidence, evidence_of(HARMFUL))
def test_more_harmful_evidence_never_makes_a_row_less_harmful(
    evidence: list[Evidence], more: Evidence
) -> None:
    before, after = decide(evidence), decide([*evidence, more])
    assert harm(after) >= harm(before) - 1e-9
    if before.kind is not TriageKind.FIXABLE:
        assert after.kind is not TriageKind.FIXABLE


@given(any_evidence, evidence_of(tuple(sorted(FIXABLE_FAMILIES))))
def test_noise_neither_harms_nor_excuses(evidence: list[Evidence], noise: Evidence) -> None:
    before, after = decide(evidence), decide([*evidence, noise])
    assert (after.kind, after.confidence) == (before.kind, before.confidence)


@given(any_evidence, st.booleans())
def test_what_must_hold_of_every_verdict(evidence: list[Evidence], released: bool) -> None:
    verdict = decide(evidence, released=released)
    assert (0.58 if verdict.kind is TriageKind.FIXABLE else 0.42) <= verdict.confidence <= 1
    assert sorted(map(repr, verdict.evidence)) == sorted(map(repr, evidence))
    assert verdict.family is None or kind_of(verdict.family) is verdict.kind
    assert verdict.family in {None, *(one.family for one in evidence)}
    if verdict.kind is not TriageKind.FIXABLE:
        assert verdict.family is not None
        assert not released


def test_families_add_up_and_signals_of_one_family_do_not() -> None:
    def seen(signal: str, family: Family) -> Evidence:
        return Evidence(signal, family, 0.3, "seen")

    one_family = [seen("a", Family.GIBBERISH), seen("b", Family.GIBBERISH)]
    assert decide(one_family).kind is TriageKind.FIXABLE
    both = decide([seen("a", Family.GIBBERISH), seen("b", Family.LABEL_FLIP)])
    assert both.kind is TriageKind.POISON
    assert both.confidence == pytest.approx(0.51)


def test_the_strongest_harm_names_the_verdict() -> None:
    weak = Evidence("a", Family.LABEL_FLIP, 0.6, "seen")
    strong = Evidence("b", Family.DISAGREEMENT, 0.8, "seen")
    noise = Evidence("c", Family.CASING, 0.9, "seen")
    verdict = decide([weak, strong, noise])
    assert (verdict.kind, verdict.family) == (TriageKind.EXTERNAL, Family.DISAGREEMENT)
    assert decide([noise]).family is Family.CASING
    assert decide([]) == TriageVerdict(TriageKind.FIXABLE, 1.0)


@cache
def found() -> tuple[Triaged, frozenset[str]]:
    traffic, flips = planted(FLIPS)
    return triage(traffic), flips


def kinds(triaged: Triaged) -> dict[str, TriageKind]:
    return {id_: verdict.kind for id_, verdict in triaged.verdicts.items()}


def test_every_judged_row_gets_exactly_one_verdict() -> None:
    traffic, _ = planted(FLIPS)
    triaged, _ = found()
    assert sorted(triaged.verdicts) == sorted(row.id for row in traffic.judged)
    judged = traffic.judged
    assert sum(triaged.count(judged, kind) for kind in TriageKind) == len(judged)
    learnable = triaged.learnable(judged)
    assert len(learnable) == triaged.count(judged, TriageKind.FIXABLE)
    assert [row.id for row in judged if row in learnable] == [row.id for row in learnable]


@pytest.mark.parametrize("family", POISON)
def test_planted_poison_is_quarantined_under_its_name(family: str) -> None:
    triaged, _ = found()
    for at in range(len(POISON[family])):
        verdict = triaged.verdicts[f"x-{family}-{at}"]
        assert (verdict.kind, verdict.family) == (TriageKind.POISON, family)


def test_most_planted_flips_are_kept_out_and_clean_rows_stay() -> None:
    triaged, flips = found()
    kept_out = {id_ for id_, kind in kinds(triaged).items() if kind is not TriageKind.FIXABLE}
    clean = {id_ for id_ in triaged.verdicts if id_[0] in "fp"} - flips
    assert len(kept_out & flips) >= 0.7 * FLIPS
    assert len(kept_out & clean) <= 0.04 * len(clean)
    of_flips = {triaged.verdicts[id_].family for id_ in kept_out & flips}
    assert of_flips <= {Family.LABEL_FLIP, Family.WRONG_REFERENCE}


def test_evidence_is_always_named() -> None:
    triaged, _ = found()
    every = [*chain.from_iterable(verdict.evidence for verdict in triaged.verdicts.values())]
    assert every
    assert all(one.signal and one.detail.strip() and 0 <= one.probability <= 1 for one in every)


def test_what_a_human_released_stays_fixable() -> None:
    traffic, _ = planted(FLIPS)
    released = traffic_of(
        [replace(row, released=True) for row in traffic.failures], traffic.passes, traffic.trusted
    )
    verdicts = triage(released).verdicts
    assert {verdicts[row.id].kind for row in traffic.failures} == {TriageKind.FIXABLE}
    # Released, not forgotten: what the signals saw is still told.
    assert verdicts["x-empty-0"].evidence


def test_what_a_human_corrected_is_never_called_a_flip() -> None:
    traffic, flips = planted(FLIPS)
    failures = [
        replace(row, source=VerdictSource.HUMAN) if row.id in flips else row
        for row in traffic.failures
    ]
    verdicts = triage(traffic_of(failures, traffic.passes, traffic.trusted)).verdicts
    wrong = {Family.LABEL_FLIP, Family.WRONG_REFERENCE}
    for id_ in flips:
        assert not wrong & {one.family for one in verdicts[id_].evidence}


def test_many_copies_of_a_wrong_row_convince_nobody() -> None:
    failures, passes = clean_rows()
    label, text = LABELS[0], texts()[LABELS[0]][-1]
    wrong = failing(label, 0, id="wrong", text=text, corrected=LABELS[3], output=LABELS[4])
    copies = [replace(wrong, id=f"copy{at}") for at in range(50)]
    one = kinds(triage(traffic_of([*failures, wrong], passes, trusted_rows())))
    many = kinds(triage(traffic_of([*failures, wrong, *copies], passes, trusted_rows())))
    changed = [id_ for id_, kind in one.items() if many[id_] is not kind]
    assert len(changed) <= 0.01 * len(one)
    assert one["wrong"] is not TriageKind.FIXABLE
    assert {many[copy.id] for copy in copies} == {many["wrong"]} == {one["wrong"]}


def test_traffic_that_lacks_a_part_is_triaged_too() -> None:
    traffic, _ = planted(0)
    some = traffic.failures[:12]
    for failures, passes, trusted in (
        ([], [], traffic.trusted),
        (some[:1], [], []),
        (some, [], traffic.trusted),
        (some, traffic.passes[:12], []),
    ):
        assert len(triage(traffic_of(failures, passes, trusted)).verdicts) == len(
            [*failures, *passes]
        )


def test_traffic_that_humans_judged_throughout_is_triaged_too() -> None:
    traffic, _ = planted(0)
    judged = [replace(row, source=VerdictSource.HUMAN) for row in traffic.judged]
    verdicts = triage(traffic_of(judged, [], traffic.trusted)).verdicts
    assert {verdicts[f"x-empty-{at}"].kind for at in range(3)} == {TriageKind.POISON}
    wrong = {Family.LABEL_FLIP, Family.WRONG_REFERENCE}
    assert not wrong & {verdict.family for verdict in verdicts.values()}
