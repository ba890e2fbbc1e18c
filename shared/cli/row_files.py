"""Files of rows that users bring: JSON lines, one row a line, in the form their task asks for."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.data_sets import (
    PlacedRow,
    check_evaluation,
    check_training,
    leaked,
    refuse_leaks,
)
from shared.domain.answer_form import Scorer
from shared.domain.bio import from_tokens
from shared.domain.entities import write_answer
from shared.domain.ids import derive_id
from shared.domain.rows import Row
from shared.domain.tasks import Head, Task
from shared.domain.tested_answers import with_tests
from shared.errors import BadInput
from shared.tasks import behaviour

_FORMS = {
    Head.TEXT: '{"text": …, "label": …}',
    Head.WORDS: '{"tokens": […], "tags": […]}',
    Head.NEXT: '{"prompt": …, "answer": …}',
}


def training_rows(file: Path | None, task: Task) -> list[PlacedRow]:
    """Rows a model was trained on; none without a file. Raises BadInput naming row and remedy."""
    if file is None:
        return []
    rows = read_row_file(file, task)
    check_training(rows, task, str(file))
    return rows


def evaluation_rows(
    file: Path | None, task: Task, training: Sequence[PlacedRow], *, drop_leaks: bool = False
) -> tuple[list[PlacedRow], int]:
    """(rows of an evaluation set, how many were dropped because they are trained on).

    Raises BadInput naming row and remedy; for such rows too, unless they are to be dropped.
    """
    if file is None:
        return [], 0
    rows = read_row_file(file, task)
    check_evaluation(rows, task, str(file))
    if not drop_leaks:
        refuse_leaks(training, rows, remedy="take it out, or have --drop-leaks leave out all such")
        return rows, 0
    leaks = {one.place for one in leaked(training, rows)}
    kept = [one for one in rows if one.place not in leaks]
    check_evaluation(kept, task, f"{file} without what is trained on")
    return kept, len(leaks)


def read_row_file(file: Path, task: Task) -> list[PlacedRow]:
    """The rows of a file, blank lines left out. Raises BadInput naming the line and the remedy."""
    rows: list[PlacedRow] = []
    # Not splitlines: JSON strings may hold other signs that end a line, such as U+2028.
    for number, line in enumerate(_decoded(file).split("\n"), 1):
        place = f"{file}:{number}"
        if line.strip():
            said = _object(line, task, place)
            text, answer = _read(said, task, place)
            answer = _tested(answer, said, task, place)
            row = Row(derive_id("row", text, answer), text, answer, _rationale(said, task, place))
            rows.append(PlacedRow(place, row))
    return rows


def _decoded(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give a file of JSON lines") from None
    try:
        # Windows begins UTF-8 with a mark.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{file}:{line}: byte {data[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        ) from None


def _object(line: str, task: Task, place: str) -> dict[str, Any]:
    form = _FORMS[behaviour(task).head]
    try:
        row = json.loads(line)
        # A half of a surrogate pair is JSON, but no text: nothing could store it.
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadInput(f"{place}: holds half of a surrogate pair: write whole signs") from None
    except (json.JSONDecodeError, RecursionError):
        raise BadInput(f"{place}: is not JSON: want {form} on each line") from None
    if not isinstance(row, dict):
        raise BadInput(f"{place}: want {form} on each line, an object of its own")
    return row


def _read(row: dict[str, Any], task: Task, place: str) -> tuple[str, str]:
    """(text, answer) of a row as its file writes it. Raises BadInput for tags that are not BIO."""
    form = _FORMS[behaviour(task).head]
    if behaviour(task).head is Head.TEXT:
        return _text(row, "text", place, form), _text(row, "label", place, form)
    if behaviour(task).head is Head.NEXT:
        return _text(row, "prompt", place, form), _text(row, "answer", place, form)
    tokens, tags = _texts(row, "tokens", place, form), _texts(row, "tags", place, form)
    text, entities = from_tokens(tokens, tags, row=place)
    return text, write_answer(entities, text)


def _tested(answer: str, row: dict[str, Any], task: Task, place: str) -> str:
    """The answer with the row's tests below it, where code is scored by running them."""
    if task.form is None or task.form.scorer is not Scorer.PASSES or "tests" not in row:
        return answer
    form = '{"prompt": …, "answer": …, "tests": […]}'
    if isinstance(row["tests"], str):
        return with_tests(answer, row["tests"])
    return with_tests(answer, "\n".join(_texts(row, "tests", place, form)))


def _rationale(row: dict[str, Any], task: Task, place: str) -> str:
    """The reasoning before an answer that is written, where somebody wrote it down."""
    if behaviour(task).head is not Head.NEXT or row.get("rationale") is None:
        return ""
    return _text(row, "rationale", place, _FORMS[Head.NEXT])


def _text(row: dict[str, Any], key: str, place: str, form: str) -> str:
    if key not in row:
        raise BadInput(f"{place}: has no {key!r}: want {form} on each line")
    if not isinstance(row[key], str):
        raise BadInput(f"{place}: {key} is {_shown(row[key])}, not a text: want {form}{_hint(key)}")
    return row[key]


def _texts(row: dict[str, Any], key: str, place: str, form: str) -> list[str]:
    if key not in row:
        raise BadInput(f"{place}: has no {key!r}: want {form} on each line")
    found = row[key]
    if not isinstance(found, list):
        raise BadInput(f"{place}: {key} is {_shown(found)}, not a list of texts: want {form}")
    return [_text({key: one}, key, place, form) for one in found]


def _hint(key: str) -> str:
    names = {"label": ", the label's name", "tags": ", each tag by its name such as B-type"}
    return names.get(key, "")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:40]
