"""A survey: what others reached on a task, in a file of JSON that a person writes."""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.errors import BadInput

MOST = 1_000
_SHOWN = '{"name": "BERT-base, 2020", "measure": "accuracy", "score": 0.937}'


class Measure(StrEnum):
    """Measures that a share of right answers may be compared with."""

    ACCURACY = "accuracy"
    EXACT_MATCH = "exact match"
    F1 = "f1"


def _spelled(measure: object) -> object:
    """As people write it: F1, Exact_Match."""
    if not isinstance(measure, str):
        return measure
    return measure.strip().casefold().replace("_", " ").replace("-", " ")


class Surveyed(BaseModel):
    """What somebody reached. A note beside it, such as a source, is not read."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=200)
    measure: Annotated[Measure, BeforeValidator(_spelled)]
    # Strict: a text or a truth value is no score.
    score: float = Field(gt=0, le=1, strict=True)


_REMEDIES: Mapping[str, str] = {
    "name": "name who reached it, in at most 200 characters",
    "measure": f"give one of {', '.join(Measure)}: the target is a share of right answers",
    "score": "give a share above 0 and at most 1, such as 0.937 for 93.7 %",
}


def read_survey(data: bytes, *, name: str) -> tuple[Surveyed, ...]:
    """All entries of a JSON list or of JSON lines. Raises BadInput naming the first bad one."""
    found = tuple(_entry(told, place) for place, told in _told(data, name))
    if not 0 < len(found) <= MOST:
        raise BadInput(f"{name} has {len(found)} entries: write 1 to {MOST}, each as {_SHOWN}")
    return found


def _told(data: bytes, name: str) -> Iterator[tuple[str, Any]]:
    """Each entry with its place."""
    try:
        whole = json.loads(data)
    except ValueError:
        yield from _lines(data, name)
        return
    entries: list[Any] = whole if isinstance(whole, list) else [whole]
    yield from ((f"{name}, entry {number}", told) for number, told in enumerate(entries, 1))


def _lines(data: bytes, name: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{name}:{number}", json.loads(line)
        except ValueError:
            raise BadInput(
                f"{name}:{number} is no JSON: write a list of entries, or one a line, each as "
                f"{_SHOWN}"
            ) from None


def _entry(told: Any, place: str) -> Surveyed:
    if not isinstance(told, dict):
        raise BadInput(f"{place} is no JSON object: write {_SHOWN}")
    try:
        return Surveyed.model_validate(told)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = str(wrong["loc"][0])
        said = "is missing" if wrong["type"] == "missing" else repr(told[field])[:60]
        raise BadInput(f"{place}: {field} {said}: {_REMEDIES[field]}") from None
