"""Which data sets are refused, and whether the sentence names the row and the remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import data_sets
from shared.data_sets import (
    PlacedRow,
    check_evaluation,
    check_labels,
    check_training,
    leaked,
    placed,
    refuse_leaks,
)
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.rows import Row
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput

LABELS = Task(TaskKind.CLASSIFICATION, ("billing", "delivery"))
ENTITIES = Task(TaskKind.NER, ("LOC", "PER"))


def rows(*said: tuple[str, str], source: str = "train.jsonl") -> list[PlacedRow]:
    return placed([Row(str(at), *one) for at, one in enumerate(said)], source)


FINE = (("my bill", "billing"), ("the bill", "billing"), ("a box", "delivery"), ("it", "delivery"))


def sentence(*said: tuple[str, str], task: Task = LABELS) -> str:
    with pytest.raises(BadInput) as refused:
        check_training(rows(*said), task, "train.jsonl")
    return str(refused.value)


def test_fine_rows_are_taken() -> None:
    check_training(rows(*FINE, FINE[0]), LABELS, "train.jsonl")
    check_evaluation(rows(FINE[0], FINE[2]), LABELS, "eval.jsonl")


def test_one_text_with_two_answers_is_refused_where_both_stand() -> None:
    said = sentence(*FINE, ("a box ", "billing"), ("my bill", "delivery"))
    assert said.startswith("train.jsonl line 1 and train.jsonl line 6: the same text 'my bill'")
    assert "'billing' and 'delivery' (1 more such texts): keep the right answer" in said
    with pytest.raises(BadInput, match="line 1 and eval line 2"):
        check_evaluation(rows(("x", "billing"), ("x", "delivery"), source="eval"), LABELS, "eval")


def test_signs_and_case_may_tell_labels_apart() -> None:
    cased = (("Polish", "billing"), ("polish", "delivery"), ("C+", "billing"), ("C", "delivery"))
    check_training(rows(*cased), LABELS, "train.jsonl")


def test_entities_contradict_as_labels_do() -> None:
    named = '[{"start":0,"end":3,"type":"PER"}]'
    said = sentence(("Ada", named), ("Ada", "[]"), task=ENTITIES)
    assert "the same text 'Ada' is answered" in said


def test_written_answers_contradict_when_neither_is_right_for_the_other() -> None:
    counted = Task(TaskKind.GENERATION, (), AnswerForm(extractor=Extractor.NUMBER))
    check_training(rows(("2+2?", "4"), ("2+2?", "It is 4.0")), counted, "train.jsonl")
    said = sentence(("2+2?", "4"), ("2+2?", "It is 4."), ("2+2?", "five, 5"), task=counted)
    assert said.startswith("train.jsonl line 1 and train.jsonl line 3: the same text '2+2?'")
    worded = Task(TaskKind.GENERATION, (), AnswerForm(scorer=Scorer.F1))
    check_training(rows(("sky?", "deep blue"), ("sky?", "blue")), worded, "train.jsonl")


def test_a_label_with_one_example_is_refused_where_it_stands() -> None:
    said = sentence(*FINE[:3])
    assert said == (
        "train.jsonl line 3: is the only example of label 'delivery': give at least two, or "
        "leave this row out"
    )


def test_a_type_in_one_text_is_no_lone_label() -> None:
    named = '[{"start":0,"end":3,"type":"PER"}]'
    check_training(rows(("Ada", named), ("we met", "[]")), ENTITIES, "train.jsonl")


def test_an_answer_outside_the_task_and_an_endless_text_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "line 5: 'x' is not one of the 2 labels: correct" in sentence(*FINE, ("a", "x"))
    assert sentence() == "train.jsonl: holds no rows: give at least one, or leave it out"
    monkeypatch.setattr(data_sets, "LONGEST_TEXT", 10)
    assert "line 5: the text has 11 characters, more than 10" in sentence(
        *FINE, ("a" * 11, "billing")
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ((" ", "a"), "label ' ' is blank"),
        (("a", "b "), "label 'b ' is blank or begins or ends with a space"),
        (("a", "b" * 201), "has 201 characters, more than 200"),
        (tuple(f"{n:0200}" for n in range(1001)), "1001 labels have 200200 characters together"),
    ],
)
def test_labels_that_no_answer_could_be_are_refused(labels: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_labels(Task(TaskKind.CLASSIFICATION, labels))


def test_a_leak_is_named_with_the_row_it_repeats() -> None:
    long = "please tell me where on earth my parcel could be right now"
    training = rows(("a", "billing"), (long, "delivery"))
    evaluation = rows(("new", "billing"), (f"{long}!", "delivery"), ("a", "billing"), source="eval")
    with pytest.raises(BadInput) as refused:
        refuse_leaks(training, evaluation, remedy="take it out")
    assert "eval line 2: 'please tell me" in str(refused.value)
    assert "as train.jsonl line 2 (1 more such rows of 3)" in str(refused.value)
    assert str(refused.value).endswith("measures nothing, take it out")


texts = st.lists(
    st.text("ab c", max_size=8).map(lambda text: (text, "billing")), min_size=1, max_size=8
)


@given(texts, texts)
def test_without_its_leaks_a_set_is_apart(one: list[tuple[str, str]], other: list[tuple[str, str]]):
    training, evaluation = rows(*one), rows(*other, source="eval")
    leaks = leaked(training, evaluation)
    kept = [row for row in evaluation if row not in leaks]
    refuse_leaks(training, kept, remedy="")
    same = {row.row.text for row in training}
    assert all(row in leaks for row in evaluation if row.row.text in same)
