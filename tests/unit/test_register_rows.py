"""Files of rows that come with a registered model: one form for labels, one for entities."""

from pathlib import Path

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.cli.models import stored_rows
from shared.domain.rows import Row, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput

LABELS = Task(TaskKind.CLASSIFICATION, ("billing", "delivery"))
ENTITIES = Task(TaskKind.NER, ("LOC", "PER"))
TAGGED = '{"tokens": ["Ada", "saw", "Rome"], "tags": ["B-PER", "O", "B-LOC"]}'


def written(folder: Path, *lines: str) -> Path:
    file = folder / "train.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_tagged_tokens_become_a_text_and_its_entities(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    ref = stored_rows(artifacts, written(tmp_path, TAGGED), ENTITIES)
    assert ref is not None
    [row] = load_rows(artifacts.get(ref), Row)
    assert row.text == "Ada saw Rome"
    assert row.target == (
        '[{"start":0,"end":3,"type":"PER","text":"Ada"},'
        '{"start":8,"end":12,"type":"LOC","text":"Rome"}]'
    )


def test_prompts_and_answers_keep_their_rationale(tmp_path: Path) -> None:
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    line = '{"prompt": "2+2?", "answer": "4", "rationale": "Two and two."}'
    ref = stored_rows(artifacts, written(tmp_path, line), Task(TaskKind.GENERATION, ()))
    assert ref is not None
    [row] = load_rows(artifacts.get(ref), Row)
    assert (row.text, row.target, row.rationale) == ("2+2?", "4", "Two and two.")


@pytest.mark.parametrize(
    ("task", "line", "said"),
    [
        (ENTITIES, '{"tokens": ["Ada"], "tags": ["I-PER"]}', "jsonl:2: tag 1 is 'I-PER'"),
        (ENTITIES, '{"tokens": ["Ada"], "tags": ["B-DOG"]}', "jsonl:2: 'DOG' is not one of the 2"),
        (ENTITIES, '{"text": "a", "label": "b"}', 'jsonl:2: want {"tokens": […], "tags": […]}'),
        (LABELS, '{"text": "a", "label": "x"}', "jsonl:2: 'x' is not one of the 2 labels"),
        (LABELS, TAGGED, 'jsonl:2: want {"text": …, "label": …}'),
        (LABELS, "no json", "jsonl:2: want"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, task: Task, line: str, said: str) -> None:
    first = TAGGED if task is ENTITIES else '{"text": "a", "label": "billing"}'
    artifacts = FsspecArtifacts((tmp_path / "store").as_uri())
    with pytest.raises(BadInput) as refused:
        stored_rows(artifacts, written(tmp_path, first, line), task)
    assert said in str(refused.value)
