"""Entities as answers, and as BIO tags of words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bio import bio_tags, check_tags, entities_of, from_tokens, repaired, tags_of
from shared.domain.entities import (
    Entity,
    canonical_answer,
    objection_to,
    read_answer,
    write_answer,
)
from shared.errors import BadInput

TYPES = ("LOC", "ORG", "PER")
TEXT = "Ada Lovelace lived in London"
ADA, LONDON = Entity(0, 12, "PER"), Entity(22, 28, "LOC")
ANSWER = (
    '[{"start":0,"end":12,"type":"PER","text":"Ada Lovelace"},'
    '{"start":22,"end":28,"type":"LOC","text":"London"}]'
)

words = st.lists(st.integers(1, 6), max_size=12).map(
    lambda lengths: [(sum(lengths[:n]) + n, sum(lengths[: n + 1]) + n) for n in range(len(lengths))]
)
tag = st.sampled_from(bio_tags(TYPES))
tagged = words.flatmap(
    lambda w: st.tuples(st.just(w), st.lists(tag, min_size=len(w), max_size=len(w)))
)


def test_an_answer_is_written_in_the_order_of_the_text() -> None:
    assert write_answer([LONDON, ADA, ADA], TEXT) == ANSWER
    assert read_answer(ANSWER) == (ADA, LONDON)
    assert write_answer([], TEXT) == "[]"


def test_an_answer_written_by_hand_has_one_form_too() -> None:
    by_hand = """[{"type": "LOC", "end": 28, "start": 22},
                  {"start": 0, "end": 12, "type": "PER"}]"""
    assert canonical_answer(by_hand, TEXT) == ANSWER
    assert canonical_answer("no idea", TEXT) == "no idea"


@given(tagged)
def test_writing_and_reading_is_the_identity(row: tuple[list[tuple[int, int]], list[str]]) -> None:
    spans, tags = row
    text = " ".join("x" * (end - start) for start, end in spans)
    entities = entities_of(tags, spans)
    answer = write_answer(entities, text)
    assert read_answer(answer) == entities
    assert canonical_answer(answer, text) == answer
    assert objection_to(answer, TYPES, text) is None


@given(tagged)
def test_tags_and_entities_say_the_same(row: tuple[list[tuple[int, int]], list[str]]) -> None:
    spans, tags = row
    right = repaired(tags)
    assert tags_of(entities_of(right, spans), spans) == right
    assert entities_of(tags, spans) == entities_of(right, spans)


@given(st.lists(tag, max_size=12))
def test_repaired_tags_are_bio_and_stay_as_they_are(tags: list[str]) -> None:
    right = repaired(tags)
    check_tags(right, row="row 1")
    assert repaired(right) == right
    assert [t[2:] for t in right] == [t[2:] for t in tags]


def test_a_word_half_within_an_entity_belongs_to_it() -> None:
    assert tags_of([Entity(2, 5, "PER")], [(0, 3), (4, 9), (10, 12)]) == ("B-PER", "I-PER", "O")


def test_neighbours_of_one_type_stay_two() -> None:
    spans = [(0, 3), (4, 7)]
    pair = (Entity(0, 3, "PER"), Entity(4, 7, "PER"))
    assert tags_of(pair, spans) == ("B-PER", "B-PER")
    assert entities_of(("B-PER", "B-PER"), spans) == pair


def test_tagged_tokens_become_a_text() -> None:
    text, entities = from_tokens(TEXT.split(), ["B-PER", "I-PER", "O", "O", "B-LOC"], row="row 1")
    assert (text, entities) == (TEXT, (ADA, LONDON))


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (["B-PER", "I-LOC"], "tag 2 is 'I-LOC', but follows 'B-PER': write B-LOC"),
        (["O", "I-LOC"], "tag 2 is 'I-LOC', but follows 'O': write B-LOC"),
        (["B-PER", "E-PER"], "tag 2 is 'E-PER', of another scheme than BIO: write S- and U- as B-"),
        (["PER", "O"], "tag 1 is 'PER', not a BIO tag: write B-type, I-type or O"),
        (["B-", "O"], "tag 1 is 'B-', not a BIO tag"),
        (["", "O"], "tag 1 is '', not a BIO tag"),
        (["O"], "has 2 tokens and 1 tags: give each one tag"),
    ],
)
def test_what_is_not_bio_is_refused_with_its_row(tags: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=r"train\.jsonl:7: ") as refused:
        from_tokens(["Ada", "Lovelace"], tags, row="train.jsonl:7")
    assert said in str(refused.value)


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(BadInput, match="row 3: token 2 is empty"):
        from_tokens(["Ada", " "], ["O", "O"], row="row 3")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("B-PER O", "is no list of entities"),
        ('{"start": 0}', "not a list"),
        ('[{"start": 0, "end": 3}]', "'type' is missing"),
        ('[{"start": 3, "end": 3, "type": "PER"}]', "must hold a character"),
        ('[{"start": true, "end": 3, "type": "PER"}]', "whole numbers"),
        ('[{"start": 0, "end": 3, "type": "TIME"}]', "'TIME' is not one of the 3 entity types"),
        (
            '[{"start": 0, "end": 12, "type": "PER"}, {"start": 4, "end": 12, "type": "ORG"}]',
            "0-12 and 4-12 overlap",
        ),
        ('[{"start": 22, "end": 29, "type": "LOC"}]', "behind the text of 28 characters"),
        ('[{"start": 0, "end": 4, "type": "PER"}]', "begins or ends with a space"),
        (
            '[{"start": 4, "end": 12, "type": "PER", "text": "London"}]',
            "says 'London', but there the text has 'Lovelace'",
        ),
    ],
)
def test_what_cannot_be_right_is_objected_to(answer: str, said: str) -> None:
    assert said in (objection_to(answer, TYPES, TEXT) or "")


def test_a_right_answer_meets_no_objection() -> None:
    assert objection_to(ANSWER, TYPES, TEXT) is None
    assert objection_to("[]", TYPES, TEXT) is None
    # Nobody knows how long the text is.
    assert objection_to('[{"start":22,"end":99,"type":"LOC"}]', TYPES) is None
