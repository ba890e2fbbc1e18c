"""The results file: grows over many runs, and is never half written.

``{"commands", "config", "rows", "triage", "label_noise"}``; a command by scenario. A row of a
stage is found again by
scenario, seed, arm and stage, and stays valid while its ``digest`` is that of the same data,
recipe and device; a row of other data is replaced.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.adaptft.arms import AGENT, StageOutcome
from bench.adaptft.logs import ScenarioData
from bench.adaptft.measures import at_chance, chance, measure_of
from bench.adaptft.scoring import found_poison, score
from bench.adaptft.training import CPU
from shared.domain.ids import content_digest
from shared.errors import BadInput

Entry = dict[str, Any]
_DIGITS = 4


def digest_of(data: ScenarioData, device: str = CPU) -> str:
    """What a kept row depends on: the data, how it is asked, the recipe, where it is trained."""
    form = [asdict(data.task.form)] if data.task.form else []
    elsewhere = [] if device == CPU else [device]
    return content_digest([data.digest, data.recipe.digest, *form, *elsewhere])[:16]


def stage_row(data: ScenarioData, arm: str, outcome: StageOutcome, device: str = CPU) -> Entry:
    """A row of ``rows``; ``chance`` is the score of one answer given to everything."""
    scores = score(data, outcome.outputs)
    return {
        "scenario": data.name,
        "seed": data.seed,
        "arm": arm,
        "stage": outcome.stage,
        "score": round(scores.overall, _DIGITS),
        "score_noisy": round(scores.noisy, _DIGITS),
        "score_clean": round(scores.clean, _DIGITS),
        "measure": measure_of(data.task),
        "chance": round(chance(data), _DIGITS),
        "at_chance": at_chance(data, scores.overall),
        "promoted": outcome.promoted,
        "train_rows": outcome.train_rows,
        "train_seconds": round(outcome.train_seconds, 1),
        "device": device,
        "digest": digest_of(data, device),
    }


def triage_rows(data: ScenarioData, arm: str, outcome: StageOutcome) -> list[Entry]:
    """Rows of ``triage``: what the arm held for poison in the stage's train log."""
    if outcome.quarantined is None or arm == "perfect-filter":
        return []
    return [
        {
            "scenario": data.name,
            "seed": data.seed,
            "stage": outcome.stage,
            "detector": AGENT if arm == AGENT else "cleanlab",
            "family": found.family,
            "precision": round(found.precision, _DIGITS),
            "recall": round(found.recall, _DIGITS),
            "f1": round(found.f1, _DIGITS),
            "rows": found.rows,
            "hits": found.hits,
            "false": found.false,
        }
        for found in found_poison(data.stages[outcome.stage].train, outcome.quarantined)
    ]


class Results:
    """One results file; only one process may hold it for writing."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._content: dict[str, Any] = {
            "commands": {},
            "config": {},
            "rows": [],
            "triage": [],
            "label_noise": [],
        }
        if file.exists():
            try:
                self._content |= json.loads(file.read_text(encoding="utf-8"))
            except json.JSONDecodeError as error:
                raise BadInput(f"{file}: not JSON ({error}); move it away to start anew") from None

    @property
    def content(self) -> Mapping[str, Any]:
        return self._content

    def describe(self, command: str, config: Mapping[str, Any]) -> None:
        """Say what makes the rows that follow; what earlier runs said of other scenarios stays."""
        before: Mapping[str, Any] = self._content["config"]
        each = {
            name: {**before.get(name, {}), **config[name]}
            for name in ("sizes", "recipes")
            if name in config
        }
        commands = self._content["commands"] | dict.fromkeys(config.get("sizes", ()), command)
        self._content |= {"commands": commands, "config": {**before, **config, **each}}

    def finished(self, scenario: str, seed: int, arm: str, digest: str) -> frozenset[int]:
        """Stages that are there and were made from the same data."""
        wanted = (scenario, seed, arm, digest)
        return frozenset(
            row["stage"]
            for row in self._content["rows"]
            if (row["scenario"], row["seed"], row["arm"], row["digest"]) == wanted
        )

    def add(self, row: Entry, triage: Sequence[Entry]) -> None:
        """Keep one stage of one arm in place of an earlier one, and write the file."""
        self._replace("rows", [row], ("scenario", "seed", "arm", "stage"))
        self._replace("triage", triage, ("scenario", "seed", "detector", "stage", "family"))
        self.write()

    def set_label_noise(self, entries: Sequence[Entry]) -> None:
        """Keep these measurements of label noise, and write the file."""
        self._content["label_noise"] = list(entries)
        self.write()

    def write(self) -> None:
        """Replace the file in one step, entries sorted."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f".{self._file.name}.{uuid4().hex}.tmp")
        temporary.write_text(_pretty(self._content), encoding="utf-8")
        os.replace(temporary, self._file)  # noqa: PTH105

    def _replace(self, name: str, entries: Sequence[Entry], keys: Sequence[str]) -> None:
        def key(entry: Entry) -> tuple[Any, ...]:
            return tuple(entry[part] for part in keys)

        new = {key(entry) for entry in entries}
        kept = [entry for entry in self._content[name] if key(entry) not in new]
        self._content[name] = sorted([*kept, *entries], key=key)


def _pretty(content: Mapping[str, Any]) -> str:
    """Indented, but one line for each entry of a list."""
    parts: list[str] = []
    for name, value in content.items():
        if isinstance(value, list):
            lines = ",\n".join(f"  {json.dumps(entry)}" for entry in value)  # pyright: ignore
            parts.append(f'"{name}": [\n{lines}\n]' if lines else f'"{name}": []')
        else:
            parts.append(f'"{name}": {json.dumps(value, sort_keys=True)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"
