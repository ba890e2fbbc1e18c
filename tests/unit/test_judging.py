"""Judgements, which of two stands, and when failures are worth a diagnosis."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.judging import from_feedback, judge_by_reference, supersede
from services.diagnoser.domain.triggers import should_diagnose
from shared.domain.traces import Judgement, Verdict, VerdictSource
from shared.errors import BadInput

judgements = st.builds(
    Judgement,
    st.sampled_from(Verdict),
    st.sampled_from(VerdictSource),
    st.sampled_from([None, "a", "b"]),
    st.text(max_size=3),
)


def test_an_answer_equal_to_the_reference_passes() -> None:
    judgement = judge_by_reference(" refund\n", "refund")
    assert judgement is not None
    assert (judgement.verdict, judgement.corrected) == (Verdict.PASS, "refund")


def test_another_answer_fails_and_says_both() -> None:
    judgement = judge_by_reference("Refund", "refund")
    assert judgement is not None
    assert (judgement.verdict, judgement.corrected) == (Verdict.FAIL, "refund")
    assert judgement.reason == "answered 'Refund', the reference says 'refund'"


@pytest.mark.parametrize("reference", [None, "", "  "])
def test_without_a_reference_there_is_no_judgement(reference: str | None) -> None:
    assert judge_by_reference("refund", reference) is None


def test_a_failure_without_a_correction_stays_one() -> None:
    judgement = from_feedback("refund", Verdict.FAIL, None, human=True)
    assert (judgement.verdict, judgement.corrected) == (Verdict.FAIL, None)
    assert judgement.source is VerdictSource.HUMAN


def test_a_confirmed_answer_is_its_own_correction() -> None:
    judgement = from_feedback("refund ", Verdict.PASS, None, human=False, reason="thumbs up")
    assert judgement == Judgement(Verdict.PASS, VerdictSource.FEEDBACK, "refund", "thumbs up")


@pytest.mark.parametrize(
    ("verdict", "corrected"), [(Verdict.PASS, "status"), (Verdict.FAIL, " refund ")]
)
def test_feedback_that_contradicts_itself_is_refused(verdict: Verdict, corrected: str) -> None:
    with pytest.raises(BadInput, match="corrects it to"):
        from_feedback("refund", verdict, corrected, human=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(judgements, min_size=1))
def test_the_last_of_the_strongest_source_stands(sequence: list[Judgement]) -> None:
    standing: Judgement | None = None
    for judgement in sequence:
        standing = supersede(standing, judgement)
    strength = max(j.source.strength for j in sequence)
    assert standing is [j for j in sequence if j.source.strength == strength][-1]


def test_a_human_is_stronger_than_feedback_and_that_than_exact_match() -> None:
    weak, middle, strong = (
        Judgement(Verdict.FAIL, source, None, "")
        for source in (VerdictSource.EXACT_MATCH, VerdictSource.FEEDBACK, VerdictSource.HUMAN)
    )
    assert supersede(weak, middle) is middle
    assert supersede(strong, middle) is strong


@pytest.mark.parametrize(
    ("failures", "age", "expected"),
    [
        (0, 1e9, False),
        (9, 1e9, False),
        (10, 59.9, False),
        (10, 60, True),
        (99, 0, False),
        (100, 0, True),
    ],
)
def test_diagnose_enough_failures_after_a_quiet_time_or_very_many(
    failures: int, age: float, expected: bool
) -> None:
    limits = {"min_failures": 10, "quiet_s": 60, "max_failures": 100}
    assert should_diagnose(failures, age, **limits) is expected


def test_nothing_is_diagnosed_without_failures() -> None:
    assert not should_diagnose(0, 1e9, min_failures=0, quiet_s=0, max_failures=0)
