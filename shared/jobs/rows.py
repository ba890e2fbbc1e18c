"""Rows of JSONL artifacts: what is trained on, embedded and predicted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.domain.artifacts import ArtifactRef
from shared.errors import BadInput
from shared.ports import ArtifactStore


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``target`` is None where the file is not for training.

    ``rationale`` is empty where nobody wrote the reasoning down.
    """

    id: str
    text: str
    target: str | None = None
    rationale: str = ""


def read_rows(artifacts: ArtifactStore, ref: ArtifactRef, *, keys: Sequence[str]) -> list[Row]:
    """The rows of a JSONL artifact. Raises BadInput, naming the line, when a key is missing."""
    lines = artifacts.get(ref).decode().split("\n")
    rows = [_row(line, f"{ref} line {n}", keys) for n, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise BadInput(f"{ref}: holds no rows")
    return rows


def _row(line: str, place: str, keys: Sequence[str]) -> Row:
    try:
        found: dict[str, Any] = json.loads(line)
        values = {key: found[key] for key in keys}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{place}: not a JSON object with {', '.join(keys)} ({error!r})") from error
    if wrong := [key for key, value in values.items() if not isinstance(value, str)]:
        raise BadInput(f"{place}: {wrong[0]}={values[wrong[0]]!r} must be a string")
    return Row(
        values.get("id", ""), values["text"], values.get("target"), found.get("rationale") or ""
    )
