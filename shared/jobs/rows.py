"""Rows of JSONL artifacts: what is trained on, embedded and predicted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.domain.artifacts import ArtifactRef
from shared.errors import BadInput
from shared.ports import ArtifactStore

# Characters by which a text is known again.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``target`` is None where the file has none: probes have not.

    ``rationale`` is empty where nobody wrote the reasoning down, ``place`` where the row came from
    no file.
    """

    id: str
    text: str
    target: str | None = None
    rationale: str = ""
    place: str = ""

    @property
    def named(self) -> str:
        """The row as a person finds it: an id is derived, and stands in nobody's file."""
        begins = f"{self.text[:_SHOWN]!r}{'…' if len(self.text) > _SHOWN else ''}"
        return f"row {self.id!r}{f' of {self.place}' if self.place else ''} ({begins})"


def read_rows(artifacts: ArtifactStore, ref: ArtifactRef, *, keys: Sequence[str]) -> list[Row]:
    """The rows of a JSONL artifact. Raises BadInput, naming the line, when a key is missing."""
    try:
        lines = artifacts.get(ref).decode().split("\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"{ref}: byte {error.start} is not UTF-8: store it as UTF-8") from None
    rows = [_row(line, f"{ref} line {n}", keys) for n, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise BadInput(f"{ref}: holds no rows")
    return rows


def told_of_cut(rows: Sequence[Row], cut: Mapping[int, int], max_tokens: int) -> str:
    """What is said of rows of which only so many tokens are read; empty when there are none.

    ``cut``: their places, and how many tokens each has.
    """
    if not cut:
        return ""
    longest = max(cut, key=lambda at: cut[at])
    return (
        f"{len(cut)} of {len(rows)} texts are longer than the {max_tokens} tokens that are read; "
        f"{rows[longest].named} has {cut[longest]}: only their beginning is learned, and only that "
        "is read in production; shorten them, or put first what decides the answer"
    )


def _row(line: str, place: str, keys: Sequence[str]) -> Row:
    try:
        found: dict[str, Any] = json.loads(line)
        values = {key: found[key] for key in keys}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{place}: not a JSON object with {', '.join(keys)} ({error!r})") from error
    if wrong := [key for key, value in values.items() if not isinstance(value, str)]:
        raise BadInput(f"{place}: {wrong[0]}={values[wrong[0]]!r} must be a string")
    target = found.get("target")
    return Row(
        values.get("id", ""),
        values["text"],
        target if isinstance(target, str) else None,
        found.get("rationale") or "",
        found.get("place") or "",
    )
