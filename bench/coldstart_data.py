"""Data sets of the cold-start bench: rows that the system may see, and a test it never sees."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from examples.demo.workload import Example
from shared.domain.answer_form import AnswerForm
from shared.domain.near_duplicates import NearDuplicateIndex, normalise
from shared.domain.row_files import PlacedRow, kind_of, read_rows
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput
from shared.tasks import behaviour
from shared.tasks.ner import scores


@dataclass(frozen=True, slots=True)
class Scenario:
    """``measure`` is accuracy, entity F1, or the F1 of the ``positive`` label; ``goal`` for it.

    Rows of the labels ``without`` are left out. Of what writes ``form`` is how; labels are written
    then. ``relative``: the goal is a share of what plain fine-tuning reaches, in a part of its
    time, for which a run has so many ``iterations``. ``folder`` of the rows, else the name.
    """

    description: str
    measure: str
    goal: float | None
    positive: str | None = None
    without: tuple[str, ...] = ()
    test_share: float = 0.2
    form: AnswerForm | None = None
    relative: bool = False
    iterations: int = 3
    folder: str = ""


# What is reached in one iteration stays within the time that these goals allow.
SHARE_OF_PLAIN, PART_OF_PLAIN_SECONDS = 0.97, 0.25
# The packaged weights are of the base model, which brings no chat template.
_NAMES_INTENTS = AnswerForm(chat_template="plain", answer_tokens=16, max_tokens=96)

SCENARIOS = {
    "sms_spam": Scenario("detect spam in short messages", "F1 of spam", 0.98, positive="spam"),
    "clinc150": Scenario(
        "classify what people ask an assistant by intent", "accuracy", 0.93, without=("oos",)
    ),
    "snips": Scenario("classify spoken commands by intent", "accuracy", 0.97),
    "wikigold": Scenario(
        "extract the named entities of articles", "entity F1", None, relative=True, iterations=1
    ),
    "snips-gen": Scenario(
        "answer spoken commands with their intent",
        "accuracy",
        None,
        form=_NAMES_INTENTS,
        relative=True,
        iterations=1,
        folder="snips",
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """``lines`` are the rows to learn from as their file holds them, ``rows`` the same, read."""

    name: str
    scenario: Scenario
    task: Task
    lines: tuple[str, ...]
    rows: tuple[PlacedRow, ...]
    test: tuple[Example, ...]

    def score(self, answers: Sequence[str]) -> float:
        """The scenario's measure of answers to the test, in order."""
        pairs = list(zip(answers, (example.label for example in self.test), strict=True))
        if self.task.kind is TaskKind.NER:
            return scores(pairs).overall.f1
        if self.scenario.positive is None:
            right = behaviour(self.task).is_right
            return sum(right(answer, label) for answer, label in pairs) / len(pairs)
        return _f1(pairs, self.scenario.positive)

    @property
    def chance(self) -> float:
        """The score of the answer that most rows have, given to everything."""
        [(answer, _)] = Counter(row.target for row in self.rows).most_common(1)
        return self.score([answer] * len(self.test))


def load_case(folder: Path, name: str, *, seed: int, most_rows: int = 0) -> Case:
    """Rows and test, no near-duplicate in both; without a test part some are cut off for one.

    ``folder`` holds those of all scenarios. ``most_rows`` keeps a trial short; 0 takes all. Raises
    BadInput when rows are missing.
    """
    scenario = SCENARIOS[name]
    folder /= scenario.folder or name
    train, kind = _read(folder / "train.jsonl", scenario)
    Random(seed).shuffle(train)
    if (folder / "test.jsonl").exists():
        test, _ = _read(folder / "test.jsonl", scenario)
    else:
        cut = round(scenario.test_share * len(train))
        test, train = train[:cut], train[cut:]
    asked = NearDuplicateIndex(row.text for _, row in test)
    known = asked.match_each([row.text for _, row in train])
    kept = [one for one, leaks in zip(train, known, strict=True) if not leaks]
    kept = kept[: most_rows or None]
    labels = sorted({label for _, row in kept for label in row.labels})
    kind = kind if scenario.form is None else TaskKind.GENERATION
    return Case(
        name=name,
        scenario=scenario,
        task=Task(kind, tuple(labels), scenario.form),
        lines=tuple(line for line, _ in kept),
        rows=tuple(row for _, row in kept),
        test=tuple(Example(row.text, row.target) for _, row in test),
    )


def _read(file: Path, scenario: Scenario) -> tuple[list[tuple[str, PlacedRow]], TaskKind]:
    """Each text once, with its line."""
    if not file.exists():
        raise BadInput(f"{file} is missing: give the folder of data sets with --data")
    data = file.read_bytes()
    kind = kind_of(data, name=file.name)
    lines = [line.decode() for line in data.splitlines() if line.strip()]
    first: dict[str, tuple[str, PlacedRow]] = {}
    for line, row in zip(lines, read_rows(data, kind, name=file.name), strict=True):
        if not set(row.labels) & set(scenario.without):
            first.setdefault(normalise(row.text), (_plain(line, kind), row))
    return list(first.values()), kind


def _plain(line: str, kind: TaskKind) -> str:
    fields = ("tokens", "tags") if kind is TaskKind.NER else ("text", "label")
    row: dict[str, Any] = json.loads(line)
    return json.dumps({field: row[field] for field in fields}, ensure_ascii=False)


def _f1(pairs: Sequence[tuple[str, str]], positive: str) -> float:
    hit = sum(answer == label == positive for answer, label in pairs)
    named = sum((answer == positive) + (label == positive) for answer, label in pairs)
    return 2 * hit / named if named else 0.0
