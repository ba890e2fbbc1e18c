"""Which corrections are doubted, and how they weigh on evidence of distance."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.diagnoser.domain.label_evidence import (
    Corrections,
    heed_corrections,
    judge_corrections,
    label_evidence,
)
from services.diagnoser.domain.signals.repetition import collapse
from services.diagnoser.domain.traffic import Traffic
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from shared.domain.triage import Evidence, Family
from tests.unit.desk_traffic import LABELS, clean_rows, planted, traffic_of
from tests.unit.floats import floats

FLIPS = 16


def judged(traffic: Traffic) -> Corrections:
    texts = [row.text for row in traffic.judged]
    return judge_corrections(traffic, collapse(texts), seed=0)


@cache
def found() -> tuple[Traffic, frozenset[str], Corrections]:
    traffic, flips = planted(FLIPS)
    return traffic, flips, judged(traffic)


def test_a_flipped_correction_is_doubted_and_the_right_label_is_proposed() -> None:
    traffic, flips, corrections = found()
    truth = {row.id: row.corrected for row in clean_rows()[0]}
    at = [place for place, row in enumerate(traffic.judged) if row.id in flips]
    right = [place for place, row in enumerate(traffic.judged) if row.id in truth.keys() - flips]
    assert np.median(corrections.wrong[at]) > 0.9
    assert np.median(corrections.wrong[right]) < 0.1
    proposed = [LABELS[int(corrections.best[place])] for place in at]
    hits = sum(
        truth[traffic.judged[place].id] == label for place, label in zip(at, proposed, strict=True)
    )
    assert hits >= 0.7 * FLIPS


def test_what_a_human_vouched_for_is_not_doubted() -> None:
    traffic, flips, before = found()
    vouched = [
        replace(row, source=VerdictSource.HUMAN)
        if at % 2
        else replace(row, released=True)
        if row.id in flips
        else row
        for at, row in enumerate(traffic.failures)
    ]
    after = judged(traffic_of(vouched, traffic.passes, traffic.trusted))
    at = [
        place
        for place, row in enumerate(vouched)
        if row.released or row.source is VerdictSource.HUMAN
    ]
    assert before.wrong[at].max() > 0.9
    assert not after.wrong[at].any()


@pytest.mark.parametrize("source", [VerdictSource.HUMAN, VerdictSource.EXACT_MATCH])
def test_traffic_without_a_doubtful_row_has_no_wrong_one(source: VerdictSource) -> None:
    traffic, _, _ = found()
    every = [
        replace(row, source=source, released=source is not VerdictSource.HUMAN)
        for row in traffic.judged
    ]
    corrections = judged(traffic_of(every, [], traffic.trusted))
    assert corrections.wrong.shape == (len(every),)
    assert not corrections.wrong.any()


def test_copies_with_one_answer_are_one_witness() -> None:
    traffic, flips, before = found()
    wrong = next(row for row in traffic.failures if row.id in flips)
    copies = [replace(wrong, id=f"copy{at}", text=wrong.text.upper()) for at in range(50)]
    failures = [*traffic.failures, *copies]
    after = judged(traffic_of(failures, traffic.passes, traffic.trusted))
    count = len(traffic.failures)
    others = np.r_[after.wrong[:count], after.wrong[len(failures) :]]
    assert np.array_equal(others, before.wrong)
    assert set(after.wrong[count : len(failures)]) == {before.wrong[traffic.failures.index(wrong)]}


def row(output: str, corrected: str, verdict: Verdict = Verdict.FAIL) -> JudgedTrace:
    return JudgedTrace("t", "where is it", output, verdict, corrected, VerdictSource.EXACT_MATCH)


def evidence_for(one: JudgedTrace, best: str, wrong: float) -> tuple[Evidence, ...]:
    corrections = Corrections(
        np.array([wrong]), np.array([LABELS.index(best)]), np.array([max(wrong, 1 - wrong)])
    )
    (evidence,) = label_evidence(traffic_of([one], [], []), corrections)
    return evidence


def test_a_wrong_correction_of_a_right_answer_is_a_reference_to_mend() -> None:
    one = row(output=LABELS[1], corrected=LABELS[0])
    (evidence,) = evidence_for(one, LABELS[1], 0.9)
    assert evidence.family is Family.WRONG_REFERENCE
    (evidence,) = evidence_for(one, LABELS[2], 0.9)
    assert evidence.family is Family.LABEL_FLIP
    assert LABELS[0] in evidence.detail
    assert LABELS[2] in evidence.detail
    assert evidence.probability == pytest.approx(0.9)


@given(floats(0, 1))
def test_a_correction_that_is_hardly_doubted_is_no_evidence(wrong: float) -> None:
    found = evidence_for(row(LABELS[1], LABELS[0]), LABELS[2], wrong)
    assert bool(found) == (wrong >= 0.2)


def test_the_label_given_is_never_proposed_instead_of_itself() -> None:
    # Doubted, although no other label is likelier: the doubt is spread over many.
    (evidence,) = evidence_for(row(LABELS[1], LABELS[0]), LABELS[0], 0.55)
    assert "more likely" not in evidence.detail
    assert evidence.detail.count(LABELS[0]) == 1


FAR = Evidence("off_domain", Family.OFF_DOMAIN, 0.6, "far")


def heeded(wrong: float, *, alone: bool = True, probability: float = 0.6) -> float:
    """Evidence of distance on a row; its neighbours have its correction unless it is alone."""
    answer = LABELS[0]
    twins = [
        replace(row(LABELS[1], answer), id=f"n{at}", text=f"where is it {at} now")
        for at in range(10)
    ]
    if alone:
        twins = [replace(twin, corrected=LABELS[2]) for twin in twins]
    traffic = traffic_of([row(LABELS[1], answer), *twins], [], [])
    corrections = Corrections(np.r_[wrong, np.zeros(10)], np.full(11, -1, np.int64), np.zeros(11))
    far = replace(FAR, probability=probability)
    found = heed_corrections([(far,), *[()] * 10], traffic, corrections, seed=0)
    assert not any(found[1:])
    return found[0][0].probability


@given(floats(0, 1), floats(0, 1), st.booleans(), st.sampled_from([0.3, 0.9, 1.0]))
def test_distance_counts_for_more_where_the_correction_is_doubted(
    one: float, other: float, alone: bool, probability: float
) -> None:
    low, high = sorted((one, other))
    less, more = (heeded(w, alone=alone, probability=probability) for w in (low, high))
    assert 0 <= less <= more <= 1


def test_distance_counts_for_less_in_good_company() -> None:
    assert heeded(0.0, alone=False) < heeded(0.0, alone=True) < 0.6 < heeded(1.0, alone=True)
