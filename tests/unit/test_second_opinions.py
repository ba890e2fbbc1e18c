"""A chat model's word keeps doubtful rows from training, and never lets one in."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.chat_answers import SecondOpinion
from services.diagnoser.domain.second_opinions import doubtful, heed
from services.diagnoser.domain.signals.repetition import Repetitions
from services.diagnoser.domain.triage import Triaged, decide
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from shared.domain.triage import Evidence, Family, TriageKind, TriageVerdict, kind_of
from tests.unit.floats import floats

probabilities = floats(0, 1)
evidence = st.builds(
    Evidence, st.sampled_from(["a", "b"]), st.sampled_from(Family), probabilities, st.just("")
)


def triaged(**verdicts: TriageVerdict) -> Triaged:
    none = np.zeros(0, np.int64)
    yes = none.astype(bool)
    return Triaged(verdicts, {}, Repetitions(none, yes, yes, none))


def opinion(family: Family | None, confidence: float) -> SecondOpinion:
    kind = kind_of(family) if family else TriageKind.FIXABLE
    return SecondOpinion(kind, family, confidence, "it says so")


def harm(probability: float) -> TriageVerdict:
    return decide([Evidence("label noise", Family.LABEL_FLIP, probability, "")])


def failure(id_: str, source: VerdictSource, *, released: bool = False) -> JudgedTrace:
    return JudgedTrace(id_, "text", "a", Verdict.FAIL, "b", source, released=released)


@settings(max_examples=200)
@given(st.lists(evidence, max_size=4), st.sampled_from([None, *Family]), probabilities)
def test_an_opinion_can_only_speak_against_a_row(
    seen: list[Evidence], family: Family | None, confidence: float
) -> None:
    before = decide(seen)
    after = heed(triaged(row=before), {"row": opinion(family, confidence)}).verdicts["row"]
    if before.kind is not TriageKind.FIXABLE:
        assert after == before
    elif after.kind is TriageKind.FIXABLE:
        assert after.confidence <= before.confidence
    else:
        assert family is not None
        assert kind_of(family) is not TriageKind.FIXABLE


@given(st.sampled_from(Family), probabilities)
def test_alone_it_decides_nothing(family: Family, confidence: float) -> None:
    heeded = heed(triaged(row=decide([])), {"row": opinion(family, confidence)})
    assert heeded.verdicts["row"].kind is TriageKind.FIXABLE


def test_two_witnesses_of_one_family_decide_together() -> None:
    assert harm(0.3).kind is TriageKind.FIXABLE
    heeded = heed(triaged(row=harm(0.3)), {"row": opinion(Family.LABEL_FLIP, 0.9)})
    verdict = heeded.verdicts["row"]
    assert (verdict.kind, verdict.family) == (TriageKind.POISON, Family.LABEL_FLIP)
    assert {one.signal for one in verdict.evidence} == {"label noise", "chat model"}


def test_a_clean_row_stays_as_it_is() -> None:
    before = triaged(row=harm(0.3))
    assert heed(before, {"row": opinion(None, 1.0)}) == before


def test_the_least_certain_are_asked_about_but_never_a_humans_word() -> None:
    rows = [
        failure("sure", VerdictSource.FEEDBACK),
        failure("doubtful", VerdictSource.FEEDBACK),
        failure("most", VerdictSource.EXACT_MATCH),
        failure("poison", VerdictSource.FEEDBACK),
        failure("human", VerdictSource.HUMAN),
        failure("released", VerdictSource.FEEDBACK, released=True),
    ]
    given_ = triaged(
        sure=harm(0.1),
        doubtful=harm(0.28),
        most=harm(0.32),
        poison=harm(0.6),
        human=harm(0.3),
        released=harm(0.3),
    )
    assert [row.id for row in doubtful(rows, given_, most=10)] == ["most", "doubtful"]
    assert [row.id for row in doubtful(rows, given_, most=1)] == ["most"]
