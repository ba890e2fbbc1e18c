"""Fixable noise: what it is, the text without it, and noise made on purpose."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.diagnoser.domain.signals.noise import find_noise, noise_evidence
from shared.domain.noise import noisy_form
from shared.domain.triage import FIXABLE_FAMILIES, Family
from tests.unit.ordinary_texts import ordinary_rows
from tests.unit.signal_corpus import tuned, unseen

ORDINARY = [
    "what is my balance",
    "where is my card",
    "how do i activate my new card",
    "please transfer forty dollars to my savings account",
    "book a table for two at the restaurant",
    "is my flight to denver delayed",
    "can i freeze my account",
    "what is the balance of my savings account",
    "transfer money to my checking account",
    "is there a restaurant near the airport",
] * 4


def clean(text: str) -> str | None:
    return find_noise([text], ORDINARY)[0].cleaned


def families(text: str) -> set[Family]:
    return set(find_noise([text], ORDINARY)[0].families)


@pytest.mark.parametrize(
    "family", [Family.PREAMBLE, Family.FORMAT_REQUEST, Family.METADATA, Family.ENCODING]
)
def test_most_sentences_of_a_family_are_told_also_those_no_rule_was_written_for(
    family: Family,
) -> None:
    for part in (tuned(family), unseen(family)):
        assert sum(family in families(text) for text in part) >= 0.85 * len(part)


@pytest.mark.parametrize(
    ("family", "noisy", "meant"),
    [
        (Family.PREAMBLE, "Hi there! Hope you're well. where is my card", "where is my card"),
        (Family.PREAMBLE, "can i freeze my account? thanks in advance", "can i freeze my account?"),
        (Family.FORMAT_REQUEST, "answer in JSON: where is my card", "where is my card"),
        (
            Family.FORMAT_REQUEST,
            "can i freeze my account, keep it short",
            "can i freeze my account",
        ),
        (Family.METADATA, "user_id=77 ts=1699999999 where is my card", "where is my card"),
        (Family.METADATA, '{"id": 4, "text": "where is my card"}', "where is my card"),
        (Family.MARKUP, "<p>where is <b>my</b> card</p>", "where is my card"),
        (Family.MARKUP, "where is **my** card [image: card.png]", "where is my card"),
        (Family.REPETITION, "where is my card where is my card", "where is my card"),
        (Family.REPETITION, "where is is my card", "where is my card"),
        (Family.CASING, "wHeRe Is mY cArD", "where is my card"),
        (Family.PUNCTUATION, "where is my card?!?!", "where is my card?"),
        (Family.SLANG, "can u freeze my account plz", "can you freeze my account please"),
        (Family.MISSPELLING, "what is my balnace", "what is my balance"),
        (Family.MISSPELLING, "freeze my acc0unt", "freeze my account"),
        (Family.TRUNCATION, "book a table at the restaura", "book a table at the restaurant"),
        (Family.ENCODING, "where is my\u200b card", "where is my card"),
    ],
)
def test_noise_is_named_and_taken_away(family: Family, noisy: str, meant: str) -> None:
    assert family in families(noisy)
    assert clean(noisy) == meant


@pytest.mark.parametrize(
    "text",
    [
        *ORDINARY[:10],
        "hello there",
        "thank you so much",
        "good morning",
        "the one after that is very very good",
        "is the ATM at JFK open",
        "play Bye Bye Bye",
        "add milk to my list",
    ],
)
def test_what_needs_no_cleaning_stays(text: str) -> None:
    assert clean(text) in (None, text)


def test_what_is_usual_here_is_no_noise() -> None:
    greeted = [f"hello, {text}" for text in ORDINARY]
    assert find_noise(["hello, where is my card"], greeted)[0].families == ()


def test_a_word_of_the_lexicon_is_no_slip() -> None:
    assert Family.MISSPELLING in families("what is my balqnce")
    found = find_noise(["what is my balqnce"], ORDINARY, lexicon=frozenset({"balqnce"}))
    assert found[0].families == ()


def test_evidence_names_each_family_once_and_is_always_fixable() -> None:
    found = find_noise(["Hi! answer in json: where is my my card?!?!", "play jazz"], ORDINARY)
    evidence = noise_evidence(found)
    assert [e.family for e in evidence[0]] == list(found[0].families)
    assert {e.family for e in evidence[0]} >= {Family.PREAMBLE, Family.FORMAT_REQUEST}
    assert {e.family for e in evidence[0]} <= FIXABLE_FAMILIES
    assert evidence[1] == ()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_cleaned_to_something_or_left(text: str) -> None:
    found = find_noise([text], ORDINARY)[0]
    assert found.cleaned is None or (found.cleaned.strip() and found.families)


@pytest.mark.parametrize("family", sorted(FIXABLE_FAMILIES))
def test_a_noisy_form_differs_and_is_the_same_for_the_same_generator(family: Family) -> None:
    texts = sorted(set(ORDINARY))
    made = [noisy_form(text, family, random.Random(at)) for at, text in enumerate(texts)]
    again = [noisy_form(text, family, random.Random(at)) for at, text in enumerate(texts)]
    assert made == again
    assert any(made)
    assert all(noisy is None or noisy != text for noisy, text in zip(made, texts, strict=True))


@given(st.sampled_from(sorted(Family)), st.text(max_size=30), st.integers(0, 99))
def test_a_noisy_form_is_never_blank(family: Family, text: str, seed: int) -> None:
    noisy = noisy_form(text, family, random.Random(seed))
    assert noisy is None or (noisy.strip() and family in FIXABLE_FAMILIES)


@pytest.mark.parametrize(
    ("family", "least"),
    [
        (Family.PREAMBLE, 0.9),
        (Family.METADATA, 0.95),
        (Family.MARKUP, 0.95),
        (Family.ENCODING, 0.95),
        (Family.REPETITION, 0.8),
        (Family.SLANG, 0.8),
        (Family.MISSPELLING, 0.5),
    ],
)
def test_noise_made_is_found_again_in_real_queries(family: Family, least: float) -> None:
    texts = [text for text, _ in ordinary_rows("clinc150")]
    random.Random(3).shuffle(texts)
    trusted, rng = texts[:1000], random.Random(4)
    made = [noisy for text in texts[1000:1600] if (noisy := noisy_form(text, family, rng))]
    words = frozenset(word for text in texts for word in text.split())
    found = find_noise(made, trusted, lexicon=words)
    assert sum(family in one.families for one in found) >= least * len(made)


@pytest.mark.parametrize("name", ["clinc150", "snips"])
def test_clean_queries_are_seldom_taken_for_noisy(name: str) -> None:
    texts = [text for text, _ in ordinary_rows(name)]
    random.Random(5).shuffle(texts)
    words = frozenset(word for text in texts for word in text.casefold().split())
    found = find_noise(texts[1000:4000], texts[:1000], lexicon=words)
    fired = {f: sum(f in one.families for one in found) for f in FIXABLE_FAMILIES}
    assert {f: n for f, n in fired.items() if n >= 0.006 * len(found)} == {}


_BITS = ["What", "is", "my", "balnce", "balance", "u", "BTW", "plz?", "the the", "I", "Hi, ", "?!"]


@given(st.lists(st.sampled_from(_BITS), min_size=1, max_size=8).map(" ".join))
def test_a_text_is_read_the_same_whatever_was_read_before(text: str) -> None:
    alone = find_noise([text], ORDINARY)[0]
    assert find_noise([*_BITS, text.lower(), text.upper(), text], ORDINARY)[-1] == alone
