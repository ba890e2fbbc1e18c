"""Files of rows in the form of their kind of task: JSON lines of a text and its right answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples.demo.workload import Example
from shared.domain.bio import from_tokens
from shared.domain.entities import write_answer
from shared.domain.tasks import TaskKind
from shared.errors import BadInput

_FORMS = {
    TaskKind.CLASSIFICATION: '{"text": …, "label": …}',
    TaskKind.GENERATION: '{"prompt": …, "answer": …} or {"text": …, "label": …}',
    TaskKind.NER: '{"tokens": […], "tags": […]}',
}


def read_source(file: Path, kind: TaskKind) -> Iterator[Example]:
    """The rows, in order. Raises BadInput naming a line of another form."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            place = f"{file}:{number}"
            try:
                yield _example(json.loads(line), kind, place)
            except (json.JSONDecodeError, KeyError, TypeError):
                raise BadInput(f"{place}: each line must be {_FORMS[kind]}") from None


def _example(row: Any, kind: TaskKind, place: str) -> Example:
    if kind is TaskKind.NER:
        text, entities = from_tokens(row["tokens"], row["tags"], row=place)
        return Example(text, write_answer(entities, text))
    if kind is TaskKind.GENERATION and "prompt" in row:
        return Example(str(row["prompt"]).strip(), str(row["answer"]).strip())
    return Example(str(row["text"]), str(row["label"]))
