"""Files of rows that come with a registered model: one form for labels, one for entities."""

from pathlib import Path

import pytest

from shared.cli.row_files import evaluation_rows, training_rows
from shared.domain.answer_form import AnswerForm
from shared.domain.rows import Row, dump_rows, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput

LABELS = Task(TaskKind.CLASSIFICATION, ("billing", "delivery"))
ENTITIES = Task(TaskKind.NER, ("LOC", "PER"))
TAGGED = '{"tokens": ["Ada", "saw", "Rome"], "tags": ["B-PER", "O", "B-LOC"]}'
WRITTEN = Task(TaskKind.GENERATION, (), AnswerForm(answer_tokens=3))
PROMPTED = '{"prompt": "2+2?", "answer": "4", "rationale": "Two and two."}'
LABELLED = '{"text": "a", "label": "billing"}'


def written(folder: Path, *lines: str, name: str = "train.jsonl") -> Path:
    file = folder / name
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def refused(file: Path, task: Task) -> str:
    with pytest.raises(BadInput) as error:
        training_rows(file, task)
    return str(error.value)


def test_tagged_tokens_become_a_text_and_its_entities(tmp_path: Path) -> None:
    [read] = training_rows(written(tmp_path, TAGGED), ENTITIES)
    assert read.place == f"{tmp_path}/train.jsonl:1"
    assert read.row.text == "Ada saw Rome"
    assert read.row.target == (
        '[{"start":0,"end":3,"type":"PER","text":"Ada"},'
        '{"start":8,"end":12,"type":"LOC","text":"Rome"}]'
    )


def test_prompts_and_answers_keep_their_rationale(tmp_path: Path) -> None:
    bare = '{"prompt": "3+3?", "answer": "6", "rationale": null}'
    [reasoned, plain] = training_rows(written(tmp_path, PROMPTED, bare), WRITTEN)
    row = reasoned.row
    assert (row.text, row.target, row.rationale) == ("2+2?", "4", "Two and two.")
    assert plain.row.rationale == ""
    assert load_rows(dump_rows([row]), Row) == [row]


@pytest.mark.parametrize(
    ("task", "line", "said"),
    [
        (ENTITIES, '{"tokens": ["Ada"], "tags": ["I-PER"]}', "jsonl:2: tag 1 is 'I-PER'"),
        (ENTITIES, '{"tokens": ["Ada"], "tags": ["S-PER"]}', "write S- and U- as B-"),
        (ENTITIES, '{"tokens": ["Ada"], "tags": ["B-DOG"]}', "jsonl:2: 'DOG' is not one of the 2"),
        (ENTITIES, '{"tokens": ["Ada"], "tags": [3]}', "jsonl:2: tags is 3, not a text"),
        (ENTITIES, '{"tokens": "Ada", "tags": "O"}', 'jsonl:2: tokens is "Ada", not a list'),
        (ENTITIES, '{"tokens": ["Ada"], "tags": []}', "has 1 tokens and 0 tags"),
        (ENTITIES, LABELLED, 'jsonl:2: has no \'tokens\': want {"tokens": […], "tags": […]}'),
        (LABELS, '{"text": "a", "label": "x"}', "jsonl:2: 'x' is not one of the 2 labels"),
        (LABELS, '{"text": "a", "label": 3}', "jsonl:2: label is 3, not a text"),
        (LABELS, '{"text": null, "label": "billing"}', "jsonl:2: text is null, not a text"),
        (LABELS, TAGGED, 'jsonl:2: has no \'text\': want {"text": …, "label": …}'),
        (LABELS, "no json", "jsonl:2: is not JSON: want"),
        (LABELS, "[" * 100_000, "jsonl:2: is not JSON: want"),
        (LABELS, "[]", "jsonl:2: want"),
        (LABELS, '{"text": "\\ud800", "label": "billing"}', "half of a surrogate pair"),
        (LABELS, '{"text": "a", "label": "delivery"}', "jsonl:1 and "),
        (WRITTEN, LABELLED, 'jsonl:2: has no \'prompt\': want {"prompt": …, "answer": …}'),
        (WRITTEN, '{"prompt": "2+3?"}', "jsonl:2: has no 'answer': want"),
        (WRITTEN, '{"prompt": "2+3?", "answer": 5}', "jsonl:2: answer is 5, not a text"),
        (WRITTEN, '{"prompt": " ", "answer": "5"}', "jsonl:2: the prompt is empty: write it"),
        (WRITTEN, '{"prompt": "2+3?", "answer": ""}', "jsonl:2: '' holds no answer (whole)"),
        (WRITTEN, '{"prompt": "2+2?", "answer": "5"}', "the same text '2+2?' is answered '4' and"),
        (WRITTEN, '{"prompt": "?", "answer": "a b c d"}', "jsonl:2: 'a b c d'… has 4 words, more"),
        (
            WRITTEN,
            '{"prompt": "2+3?", "answer": "5", "rationale": 5}',
            "jsonl:2: rationale is 5, not a text",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, task: Task, line: str, said: str) -> None:
    first = {ENTITIES: TAGGED, LABELS: LABELLED, WRITTEN: PROMPTED}[task]
    assert said in refused(written(tmp_path, first, line), task)


def test_a_file_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    assert "No such file" in refused(file, LABELS)
    assert "Is a directory" in refused(tmp_path, LABELS)
    file.write_bytes(b"\n \n")
    assert "train.jsonl: holds no rows" in refused(file, LABELS)
    file.write_bytes(f"{LABELLED}\n".encode() + '{"text": "é"}'.encode("latin-1"))
    assert "train.jsonl:2: byte 0xe9 is not UTF-8: save the file as UTF-8" in refused(file, LABELS)
    file.write_text(LABELLED, encoding="utf-16")
    assert "train.jsonl:1: byte 0xff is not UTF-8" in refused(file, LABELS)


def test_what_other_programs_write_is_read(tmp_path: Path) -> None:
    odd = '{"text": "one\u2028line\x85still", "label": "billing"}'
    file = tmp_path / "train.jsonl"
    file.write_bytes(f"{odd}\r\n\r\n{LABELLED}\r\n".encode("utf-8-sig"))
    read = training_rows(file, LABELS)
    assert [one.row.text for one in read] == ["one\u2028line\x85still", "a"]
    assert [one.place[-2:] for one in read] == [":1", ":3"]
    rows = [one.row for one in read]
    assert load_rows(dump_rows(rows), Row) == rows


def test_what_is_trained_on_measures_nothing(tmp_path: Path) -> None:
    training = training_rows(written(tmp_path, LABELLED, LABELLED), LABELS)
    new = '{"text": "another", "label": "delivery"}'
    file = written(tmp_path, new, LABELLED, name="eval.jsonl")
    with pytest.raises(BadInput, match=r"eval.jsonl:2: 'a' says nearly .*train.jsonl:1.*--drop-"):
        evaluation_rows(file, LABELS, training)
    kept, dropped = evaluation_rows(file, LABELS, training, drop_leaks=True)
    assert ([one.row.text for one in kept], dropped) == (["another"], 1)
    with pytest.raises(BadInput, match="without what is trained on: holds no rows"):
        evaluation_rows(
            written(tmp_path, LABELLED, name="same.jsonl"), LABELS, training, drop_leaks=True
        )


def test_without_files_there_are_no_rows() -> None:
    assert training_rows(None, LABELS) == []
    assert evaluation_rows(None, LABELS, []) == ([], 0)
