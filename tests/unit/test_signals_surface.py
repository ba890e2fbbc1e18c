"""Rows without words: empty, gibberish, and what a decoder spoilt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.diagnoser.domain.signals.surface import surface_evidence
from services.diagnoser.domain.signals.text_repair import repair_encoding
from shared.domain.triage import Family
from tests.unit.ordinary_texts import SETS, ordinary_rows
from tests.unit.signal_corpus import tuned, unseen

ORDINARY = [
    "what is my balance",
    "how do i activate my new card",
    "book a table for two at the italian restaurant",
    "where is my parcel and when does it arrive",
    "please transfer forty dollars to my savings account",
    "is my flight to denver delayed because of the weather",
] * 3


def found(text: str, ordinary: list[str] = ORDINARY) -> set[Family]:
    return {evidence.family for evidence in surface_evidence([text], ordinary)[0]}


@pytest.mark.parametrize("family", [Family.GIBBERISH, Family.EMPTY, Family.ENCODING])
def test_most_sentences_of_a_family_are_told(family: Family) -> None:
    for part in (tuned(family), unseen(family)):
        assert sum(family in found(text) for text in part) >= 0.8 * len(part)


@pytest.mark.parametrize(
    "text",
    [
        "wat is my ballance",
        "trasnfer mony to my savigns acount",
        "WHERE IS MY CARD",
        "o'connor's restaurant",
        "call zbigniew",
        "is the atm on 5th ave. open?",
        "no",
        "what is 25 + 17 * 3",
        "¿dónde está mi tarjeta?",
    ],
)
def test_bad_spelling_names_and_other_languages_are_neither_empty_nor_gibberish(text: str) -> None:
    assert not found(text) & {Family.GIBBERISH, Family.EMPTY}


def test_what_is_usual_here_is_not_empty() -> None:
    assert Family.EMPTY in found("none")
    assert Family.EMPTY not in found("none", ["none", "None!", "all of them"])


@pytest.mark.parametrize("name", SETS)
def test_hardly_any_ordinary_query_is_empty_or_gibberish(name: str) -> None:
    texts = [text for text, _ in ordinary_rows(name)]
    reviewed = surface_evidence(texts, texts[:400])
    wrong = [
        text
        for text, one in zip(texts, reviewed, strict=True)
        if {e.family for e in one} & {Family.EMPTY, Family.GIBBERISH}
    ]
    assert len(wrong) < 0.003 * len(texts), wrong[:9]


@pytest.mark.parametrize(
    ("spoilt", "meant"),
    [
        ("whatâ€™s my balance", "what’s my balance"),
        ("cafÃ© near me", "café near me"),
        ("that\x92s all", "that’s all"),
        ("ｗｈａｔ ｉｓ it", "what is it"),
        ("re\u200bset my \ufeffpin", "reset my pin"),
        ("fish &amp; chips", "fish & chips"),
        ("lost \ufffd letters", "lost letters"),
    ],
)
def test_what_a_decoder_spoilt_is_recovered(spoilt: str, meant: str) -> None:
    fixed, wrong = repair_encoding(spoilt)
    assert fixed == meant
    assert wrong


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"]), max_size=80))
def test_plain_text_needs_no_repair(text: str) -> None:
    assert repair_encoding(text) == (text, ())


@given(st.text("abcdeéèüßñ€’“” ", min_size=1, max_size=40))
def test_utf8_read_as_latin1_comes_back(text: str) -> None:
    spoilt = text.encode("utf-8").decode("latin-1")
    assert repair_encoding(spoilt)[0].split() == text.split()


@given(st.text(max_size=80))
def test_any_text_is_judged(text: str) -> None:
    assert all(0 < e.probability < 1 for e in surface_evidence([text], ORDINARY)[0])
