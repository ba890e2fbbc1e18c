"""A correction is offered to similar traces, never where it would be a guess."""

import pytest

from services.diagnoser.domain.propagation import offer_corrections
from shared.domain.traces import JudgedTrace, UnjudgedTrace, Verdict, VerdictSource

HUMAN = VerdictSource.HUMAN


def corrected(key: str, text: str, answer: str) -> JudgedTrace:
    return JudgedTrace(key, text, "?", Verdict.FAIL, answer, HUMAN)


def unjudged(*texts: str) -> list[UnjudgedTrace]:
    return [UnjudgedTrace(f"u{at}", text, "?") for at, text in enumerate(texts)]


CORRECTED = [
    corrected("c1", "my new debit card has not arrived in the mail", "card_arrival"),
    corrected("c2", "which currencies can I exchange at the airport", "exchange"),
    corrected("c3", "please freeze my account right now", "freeze"),
]


def test_a_similar_text_is_offered_the_correction_and_its_source() -> None:
    offers = offer_corrections(
        CORRECTED,
        unjudged("My new debit card hasn't arrived in the mail!", "what is the weather like"),
    )
    assert list(offers) == ["u0"]
    offer = offers["u0"]
    assert (offer.trace_id, offer.answer, offer.source_id) == ("u0", "card_arrival", "c1")
    assert offer.source_text == CORRECTED[0].text
    assert 0.6 <= offer.similarity <= 1


def test_a_misspelt_text_is_still_similar() -> None:
    offers = offer_corrections(CORRECTED, unjudged("plaese freeze my acount right now"))
    assert offers["u0"].answer == "freeze"


def test_an_equal_text_is_wholly_similar() -> None:
    offers = offer_corrections(CORRECTED, unjudged("Please FREEZE my account, right now."))
    assert offers["u0"].similarity == pytest.approx(1)


def test_no_offer_where_similar_texts_were_answered_otherwise() -> None:
    torn = [*CORRECTED, corrected("c4", "please freeze my account right away", "close_account")]
    asked = unjudged("please freeze my account right")
    assert offer_corrections(CORRECTED, asked)
    assert offer_corrections(torn, asked) == {}


def test_what_one_trace_is_offered_does_not_depend_on_the_others() -> None:
    texts = ["my debit card has not arrived in the mail", "please freeze account right now", "hi"]
    together = offer_corrections(CORRECTED, unjudged(*texts))
    assert set(together) == {"u0", "u1"}
    for trace in unjudged(*texts):
        alone = offer_corrections(CORRECTED, [trace])
        assert alone.get(trace.id) == together.get(trace.id)


def test_the_order_of_corrections_changes_nothing() -> None:
    twice = [*CORRECTED, corrected("c0", CORRECTED[0].text, "card_arrival")]
    asked = unjudged(CORRECTED[0].text)
    assert offer_corrections(twice, asked) == offer_corrections(twice[::-1], asked)
    assert offer_corrections(twice, asked)["u0"].source_id == "c0"


def test_nothing_comes_of_nothing() -> None:
    assert offer_corrections([], unjudged("a text")) == {}
    assert offer_corrections(CORRECTED, []) == {}
    assert offer_corrections([corrected("c", "", "x")], unjudged("", "?")) == {}
