"""Files of labelled rows as their owners write them: JSON lines in the form of their task."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.domain.bio import from_tokens
from shared.domain.entities import read_answer, write_answer
from shared.domain.ids import derive_id
from shared.domain.tasks import TaskKind
from shared.domain.tested_answers import with_tests
from shared.errors import BadInput

# What a row of each kind must have.
FORMS: Mapping[TaskKind, tuple[str, str]] = {
    TaskKind.CLASSIFICATION: ("text", "label"),
    TaskKind.NER: ("tokens", "tags"),
    TaskKind.GENERATION: ("prompt", "answer"),
}
_SHOWN = '{"text": …, "label": …}, {"tokens": […], "tags": […]} or {"prompt": …, "answer": …}'


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row as it is learned, and its ``place``, file:line, for people who must mend it.

    ``labels``: those that its answer names, none where it is written freely. ``rationale``: the
    reasoning before such an answer, where somebody wrote it.
    """

    id: str
    text: str
    target: str
    place: str
    labels: tuple[str, ...]
    rationale: str = ""


def kind_of(data: bytes, *, name: str) -> TaskKind:
    """The kind of task whose form the first row has. Raises BadInput, naming the row."""
    first = next((line for line in data.splitlines() if line.strip()), None)
    if first is None:
        raise BadInput(f"{name} has no rows: write one JSON object a line, {_SHOWN}")
    row = _object(first, place=f"{name}:1")
    for kind, form in FORMS.items():
        if all(field in row for field in form):
            return kind
    raise BadInput(
        f"{name}:1 has the fields {', '.join(sorted(row)) or '(none)'}, the form of no task that "
        f"can be started: write {_SHOWN}"
    )


def read_rows(
    data: bytes, kind: TaskKind, *, name: str, tested: bool = False
) -> tuple[PlacedRow, ...]:
    """All rows, in the form of one kind. Raises BadInput, naming the first that does not fit.

    ``tested``: answers are code, and the ``tests`` of a row go below its answer.
    """
    lines = enumerate(data.splitlines(), 1)
    return tuple(
        _read(line, kind, f"{name}:{number}", tested=tested)
        for number, line in lines
        if line.strip()
    )


def _read(line: bytes, kind: TaskKind, place: str, *, tested: bool) -> PlacedRow:
    row = _object(line, place=place)
    inputs, answers = FORMS[kind]
    if missing := [field for field in (inputs, answers) if field not in row]:
        raise BadInput(f"{place} has no {missing[0]!r}: write {inputs!r} and {answers!r} in it")
    if kind is TaskKind.GENERATION:
        found = _written(row[inputs], row[answers], row.get("rationale"), place)
        return _with_tests(found, row["tests"]) if tested and "tests" in row else found
    read = _tagged if kind is TaskKind.NER else _labelled
    return read(row[inputs], row[answers], place)


def labelled(text: str, label: str, place: str) -> PlacedRow:
    """A row of a text and its label."""
    return PlacedRow(derive_id("row", text, label), text, label, place, (label,))


def tagged(text: str, target: str, place: str) -> PlacedRow:
    """A row of a text and its entities, as answers write them."""
    types = tuple(sorted({entity.type for entity in read_answer(target)}))
    return PlacedRow(derive_id("row", text, target), text, target, place, types)


def written(prompt: str, answer: str, place: str, *, rationale: str = "") -> PlacedRow:
    """A row of a request and its answer, which names no labels."""
    return PlacedRow(derive_id("row", prompt, answer), prompt, answer, place, (), rationale)


def _labelled(text: Any, label: Any, place: str) -> PlacedRow:
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"{place}: text {text!r} says nothing: write it or take the row out")
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise BadInput(f"{place}: label {label!r} is no name: write one label as a text")
    return labelled(text, str(label).strip(), place)


def _written(prompt: Any, answer: Any, rationale: Any, place: str) -> PlacedRow:
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadInput(f"{place}: prompt {prompt!r} says nothing: write it or take the row out")
    if not isinstance(answer, str) or not answer.strip():
        raise BadInput(f"{place}: answer {answer!r} is no text: write it or take the row out")
    if rationale is not None and not isinstance(rationale, str):
        raise BadInput(f"{place}: rationale {rationale!r} is no text: write one or leave it out")
    return written(prompt, answer.strip(), place, rationale=rationale or "")


def _with_tests(row: PlacedRow, tests: Any) -> PlacedRow:
    """The row with tests below its answer, by which code is scored that is run."""
    if not (isinstance(tests, str) or _texts(tests)):
        raise BadInput(f"{row.place}: tests must be a list of texts, or one text")
    target = with_tests(row.target, tests if isinstance(tests, str) else "\n".join(tests))
    return replace(row, id=derive_id("row", row.text, target), target=target)


def _tagged(tokens: Any, tags: Any, place: str) -> PlacedRow:
    if not (_texts(tokens) and _texts(tags)):
        raise BadInput(f"{place}: tokens and tags must be lists of texts")
    if not tokens:
        raise BadInput(f"{place} has no tokens: write them or take the row out")
    text, entities = from_tokens(tokens, tags, row=place)
    return tagged(text, write_answer(entities, text), place)


def _texts(found: Any) -> bool:
    return isinstance(found, Sequence) and all(isinstance(one, str) for one in found)


def _object(line: bytes, *, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise BadInput(f"{place} is no JSON object: write {_SHOWN}")
    return row
