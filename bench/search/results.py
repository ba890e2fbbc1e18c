"""The results file: one row for each strategy of a scenario and seed, never half written.

``{"rules", "rows"}``, the rules being those of the last row that was added. A row says its command
and stays valid while its ``digest`` is that of the same data, budget and rules; one of others is
replaced.
"""

import fcntl
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.search.case import Case
from bench.search.strategies import Rules
from bench.search.trial import Ended
from services.controller.domain.budget import spent
from services.controller.domain.changes import composed
from services.controller.domain.decision import Promote
from services.controller.domain.graph import read_graph
from shared.domain.ids import content_digest
from shared.errors import BadInput

Entry = dict[str, Any]
_DIGITS = 4
_KEYS = ("scenario", "seed", "strategy")


def digest_of(case: Case, rules: Rules) -> str:
    """What a kept row depends on."""
    return content_digest([case.digest, rules.describe()])[:16]


def entry(
    case: Case, strategy: str, rules: Rules, ended: Ended, *, before: float, after: float
) -> Entry:
    """A row; ``before`` and ``after`` are accuracies on the test part.

    ``score`` and ``regressions`` are the gate's of what was chosen, None where nothing was.
    ``seconds`` are those of its trainings, wherever they were done.
    """
    run, decision = ended.run, ended.decision
    report = decision.admission.verdict.report if isinstance(decision, Promote) else None
    used = spent(run, rules.budget)
    return {
        "scenario": case.name,
        "seed": case.seed,
        "strategy": strategy,
        "budget": rules.trainings,
        "most_rows": rules.most_rows,
        "trainings": used.trainings,
        "iterations": len(run.iterations),
        "moves": [outcome.move.value for outcome in run.iterations],
        "chosen": chosen(ended),
        "admitted": report is not None,
        "score": round(report.score, _DIGITS) if report else None,
        "heldout_rows": report.heldout.total if report else None,
        "regressions": report.regressions if report else None,
        "test_rows": len(case.test),
        "accuracy_before": round(before, _DIGITS),
        "accuracy": round(after, _DIGITS),
        "seconds": round(used.gpu_seconds, 1),
        "reason": decision.reason,
        "digest": digest_of(case, rules),
    }


def chosen(ended: Ended) -> str:
    """The pipeline that a run ended with, in words."""
    if not isinstance(ended.decision, Promote):
        return "none: the deployed model stays"
    candidate = ended.decision.admission.candidate
    node = read_graph(ended.run).made(candidate.id)
    if node is None:
        return candidate.recipe.name
    return f"{candidate.recipe.name}; {composed(node.data)} ({node.move.value}, {node.name})"


class Results:
    """One results file. Two processes may add rows of different cases to it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def content(self) -> dict[str, Any]:
        """What is there now. Raises BadInput when it cannot be read."""
        empty: dict[str, Any] = {"rules": {}, "rows": []}
        if not self._file.exists():
            return empty
        try:
            return empty | json.loads(self._file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise BadInput(
                f"{self._file}: not JSON ({error}); move it away to start anew"
            ) from None

    def find(self, case: Case, strategy: str, rules: Rules) -> Entry | None:
        """The row that is there and was made from the same data by the same rules."""
        wanted = (case.name, case.seed, strategy)
        for row in self.content["rows"]:
            if _key(row) == wanted and row["digest"] == digest_of(case, rules):
                return row
        return None

    def add(self, row: Entry, *, command: str, rules: Rules) -> None:
        """Keep a row in place of an earlier one, and write the file in one step."""
        with self._alone():
            kept = [old for old in self.content["rows"] if _key(old) != _key(row)]
            content = {
                "rules": rules.describe(),
                "rows": sorted([*kept, row | {"command": command}], key=_key),
            }
            temporary = self._file.with_name(f".{self._file.name}.{uuid4().hex}.tmp")
            temporary.write_text(_pretty(content), encoding="utf-8")
            os.replace(temporary, self._file)  # noqa: PTH105

    @contextmanager
    def _alone(self) -> Generator[None]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.with_name(f".{self._file.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _KEYS)


def _pretty(content: Mapping[str, Any]) -> str:
    """One line for each row."""
    rows: Sequence[Entry] = content["rows"]
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
    head = f'"rules": {json.dumps(content["rules"], sort_keys=True)},\n'
    return "{\n" + head + f'"rows": [\n{lines}\n]\n}}\n'
