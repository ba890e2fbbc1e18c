"""Those who corrected a text do not agree: how likely each of their answers is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.diagnoser.domain.disagreement import disagreement_evidence
from shared.domain.traces import JudgedTrace, Opinion, Verdict, VerdictSource
from shared.domain.triage import Family

EXACT, FEEDBACK, HUMAN = VerdictSource.EXACT_MATCH, VerdictSource.FEEDBACK, VerdictSource.HUMAN


def failure(
    answer: str,
    *votes: Opinion,
    source: VerdictSource = EXACT,
    text: str = "where is my card",
    key: str = "t",
) -> JudgedTrace:
    return JudgedTrace(key, text, "?", Verdict.FAIL, answer, source, votes=votes)


def probabilities(*traces: JudgedTrace, groups: list[int] | None = None) -> list[float]:
    found = disagreement_evidence(traces, groups or [0] * len(traces))
    return [0.0 if evidence is None else evidence.probability for evidence in found]


def test_nobody_objects_to_what_all_say() -> None:
    same = [failure("a"), failure("a", Opinion("a", FEEDBACK, "ann"), source=FEEDBACK)]
    assert disagreement_evidence([*same, failure("b")], [0, 0, 1]) == [None, None, None]


def test_two_equal_voices_are_even() -> None:
    [evidence] = disagreement_evidence(
        [failure("a", Opinion("a", HUMAN, "x"), Opinion("b", HUMAN, "y"), source=HUMAN)], [0]
    )
    assert evidence is not None
    assert evidence.family is Family.DISAGREEMENT
    assert evidence.probability == pytest.approx(0.5)
    assert evidence.detail == "1 of 2 voices on this text say 'b'"


def test_the_minority_is_more_likely_wrong() -> None:
    votes = [Opinion("a", FEEDBACK, who) for who in "xyz"] + [Opinion("b", FEEDBACK, "w")]
    [many] = probabilities(failure("a", *votes, source=FEEDBACK))
    [few] = probabilities(failure("b", *votes, source=FEEDBACK))
    assert many == pytest.approx(0.25)
    assert few == pytest.approx(0.75)


def test_one_human_outweighs_any_number_of_others() -> None:
    automatic = [Opinion("b", FEEDBACK, f"bot{n}") for n in range(30)]
    [human] = probabilities(failure("a", *automatic, Opinion("a", HUMAN), source=HUMAN))
    [bots] = probabilities(failure("b", *automatic, Opinion("a", HUMAN), source=FEEDBACK))
    assert human < 0.2
    assert bots > 0.8


def test_a_human_on_the_same_text_speaks_for_its_other_traces() -> None:
    judged = failure("a", Opinion("a", HUMAN, "ann"), source=HUMAN, key="1")
    others = [failure("b", key=f"{n}", text="Where is my card?") for n in range(9)]
    human, *rest = probabilities(judged, *others)
    assert human < 0.2
    assert min(rest) > 0.8


def test_a_repeated_request_is_one_voice() -> None:
    storm = [failure("a", key=f"{n}") for n in range(40)]
    assert probabilities(*storm, failure("b")) == pytest.approx([0.5] * 41)


def test_nearly_the_same_text_counts_for_less_than_the_same() -> None:
    same = probabilities(failure("a"), failure("b"))
    near = probabilities(failure("a"), failure("b", text="where is my new card"))
    assert near == pytest.approx([1 / 3] * 2)
    assert same == pytest.approx([0.5] * 2)


def test_a_lone_dissenter_says_nothing_of_many_but_much_of_itself() -> None:
    many = [failure("a", text=f"where is my card number {n}") for n in range(30)]
    *of_many, dissenter = disagreement_evidence([*many, failure("b")], [0] * 31)
    assert set(of_many) == {None}
    assert dissenter is not None
    assert dissenter.probability > 0.9
    assert dissenter.detail == "30 of 31 voices on this text and its near-duplicates say 'a'"


def test_groups_do_not_hear_each_other() -> None:
    assert probabilities(failure("a"), failure("b"), groups=[0, 1]) == [0, 0]


def test_each_trace_needs_a_group() -> None:
    with pytest.raises(ValueError, match="1 traces but 2 groups"):
        disagreement_evidence([failure("a")], [0, 1])


rows = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(VerdictSource),
        st.sampled_from(["one text", "One text!", "one more text"]),
        st.lists(
            st.builds(
                Opinion,
                st.sampled_from("abc"),
                st.sampled_from(VerdictSource),
                st.none() | st.sampled_from("xy"),
            ),
            max_size=3,
        ),
        st.integers(0, 2),
    ),
    max_size=12,
)


@given(rows, st.randoms())
def test_it_is_a_probability_and_order_does_not_matter(cases: list, random) -> None:
    traces = [
        failure(answer, *votes, source=source, text=text, key=str(at))
        for at, (answer, source, text, votes, _) in enumerate(cases)
    ]
    groups = [case[-1] for case in cases]
    found = dict(zip([t.id for t in traces], disagreement_evidence(traces, groups), strict=True))
    assert all(evidence is None or 0.1 <= evidence.probability <= 1 for evidence in found.values())
    shuffled = random.sample(range(len(traces)), len(traces))
    again = disagreement_evidence([traces[at] for at in shuffled], [groups[at] for at in shuffled])
    for at, evidence in zip(shuffled, again, strict=True):
        before = found[traces[at].id]
        assert (before is None) == (evidence is None)
        if before and evidence:
            assert evidence.probability == pytest.approx(before.probability)
