"""One opinion for each voice, and which answers follow from them."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.diagnoser.domain.opinions import (
    HeardOpinion,
    answers,
    opinions_in_feedback,
    voices,
)
from shared.domain.traces import MAX_OPINIONS, MAX_VOTES, Judgement, Opinion, Verdict, VerdictSource

START = datetime(2026, 1, 1, tzinfo=UTC)
REFERENCE = Judgement(Verdict.FAIL, VerdictSource.EXACT_MATCH, "returns", "")
opinions = st.builds(
    Opinion, st.sampled_from("abcdefghijkl"), st.sampled_from(VerdictSource), st.none() | st.text()
)


def judgement(answer: str | None, source: VerdictSource = VerdictSource.FEEDBACK) -> Judgement:
    return Judgement(Verdict.FAIL, source, answer, "")


def heard(at: float, answer: str, by: str | None = None, *, human: bool = False) -> HeardOpinion:
    source = VerdictSource.HUMAN if human else VerdictSource.FEEDBACK
    return HeardOpinion(Opinion(answer, source, by), START + timedelta(minutes=at))


def test_feedback_on_a_reference_makes_two_opinions() -> None:
    found = opinions_in_feedback(
        "f", "t", judgement("billing"), corrector="ann", standing=REFERENCE
    )
    assert [noted.opinion for noted in found] == [
        Opinion("returns", VerdictSource.EXACT_MATCH),
        Opinion("billing", VerdictSource.FEEDBACK, "ann"),
    ]


def test_a_failure_without_a_correction_is_no_opinion() -> None:
    assert opinions_in_feedback("f", "t", judgement(None), corrector="ann", standing=None) == []


def test_unsigned_words_are_known_by_what_they_say_and_signed_ones_by_their_feedback() -> None:
    def key(feedback: str, by: str | None, answer: str = "a") -> str:
        [noted] = opinions_in_feedback(
            feedback, "t", judgement(answer), corrector=by, standing=None
        )
        return noted.id

    assert key("1", None) == key("2", None) != key("1", None, "b")
    assert key("1", "ann") == key("1", "ann") != key("2", "ann")


def test_a_corrector_may_change_his_mind_back() -> None:
    said = [heard(0, "a", "ann"), heard(1, "b", "ann"), heard(2, "a", "ann"), heard(3, "b", "bob")]
    assert voices(said) == (
        Opinion("a", VerdictSource.FEEDBACK, "ann"),
        Opinion("b", VerdictSource.FEEDBACK, "bob"),
    )


@given(st.lists(opinions, max_size=60))
def test_voices_are_bounded_and_the_strongest_come_first(said: list[Opinion]) -> None:
    found = voices(HeardOpinion(o, START + timedelta(seconds=at)) for at, o in enumerate(said))
    assert len(found) <= MAX_VOTES
    assert set(found) <= set(said)
    assert [o.source.strength for o in found] == sorted(
        (o.source.strength for o in found), reverse=True
    )
    assert (len(found) == 0) == (not said)


@given(st.none() | st.sampled_from("abz"), st.lists(opinions, max_size=40))
def test_the_standing_answer_comes_first_and_each_once(
    standing: str | None, votes: list[Opinion]
) -> None:
    found = answers(standing, votes)
    assert len(set(found)) == len(found) <= MAX_OPINIONS
    if standing is not None:
        assert found[0] == standing
    assert set(found) <= {v.answer for v in votes} | {standing}


def test_other_answers_come_by_strength_then_by_number() -> None:
    votes = [h.opinion for h in (heard(0, "many", "a"), heard(0, "many", "b"), heard(0, "one"))]
    votes.append(Opinion("human", VerdictSource.HUMAN))
    assert answers("standing", votes) == ("standing", "human", "many", "one")
