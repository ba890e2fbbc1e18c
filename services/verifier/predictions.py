"""What models said of evaluation rows: read from a job's file, and whose word counts."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from services.verifier.domain.evaluation import Grades
from services.verifier.domain.threshold import Seen
from shared.domain.entities import Entity, SeenEntity

T = TypeVar("T")

# By row id.
Outputs = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """One model's outputs by row id, and the entities it saw.

    ``vouched`` says whose they are, or which do not count.
    """

    outputs: Outputs
    seen: Seen
    vouched: tuple[str, ...] = ()

    def with_twin(self, twin: "Said", name: str, held: Collection[str]) -> "Said":
        """On held-out rows that were learned, only the twin's word: it did not learn them."""
        reason = f"held-out rows were learned: their score is that of {name}, which did not"
        return Said(
            _without(self.outputs, held) | _only(twin.outputs, held),
            _without(self.seen, held) | _only(twin.seen, held),
            (*self.vouched, reason),
        )


def read_predictions(predictions: bytes) -> dict[str, Said]:
    """What each model said, by its id."""
    outputs: dict[str, dict[str, str]] = {}
    seen: dict[str, dict[str, list[SeenEntity]]] = {}
    for line in predictions.splitlines():
        row = json.loads(line)
        outputs.setdefault(row["model"], {})[row["id"]] = row["output"]
        seen.setdefault(row["model"], {})[row["id"]] = [
            SeenEntity(Entity(one["start"], one["end"], one["type"]), one["probability"])
            for one in row.get("seen", ())
        ]
    return {model: Said(outputs[model], seen[model]) for model in outputs}


def read_grades(predictions: bytes) -> Grades:
    """How the answers of all models were graded where they were given."""
    found: dict[tuple[str, str, str], bool] = {}
    for line in predictions.splitlines():
        row = json.loads(line)
        for target, right in row.get("graded", {}).items():
            found[row["id"], row["output"], target] = right
    return found


def _without(by_row: Mapping[str, T], rows: Collection[str]) -> dict[str, T]:
    return {row: said for row, said in by_row.items() if row not in rows}


def _only(by_row: Mapping[str, T], rows: Collection[str]) -> dict[str, T]:
    return {row: said for row, said in by_row.items() if row in rows}
