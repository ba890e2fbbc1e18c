"""The data sets of the benchmark, and how large each part is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from examples.demo.workload import SAMPLE, Example, confusable_labels
from shared.domain.near_duplicates import group_near_duplicates
from shared.errors import BadInput


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rows of each part. ``clean_per_label`` rows of each label train C1.

    ``poison``: one share a stage, of its rows that carry at least one type of poison.
    """

    clean_per_label: int
    first_test: int = 150
    stage_rows: int = 500
    train_share: float = 0.7
    poison: tuple[float, ...] = (0.15, 0.25, 0.40)

    @property
    def stage_train(self) -> int:
        """Rows of a stage that are for training."""
        return round(self.stage_rows * self.train_share)

    @property
    def inference_rows(self) -> int:
        """Rows that the first model serves, of all stages."""
        return self.first_test + self.stage_rows * len(self.poison)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A labelled data set; ``folder`` is below the data folder, or absolute.

    With more than ``most_labels`` labels the most confusable ones are taken. ``not_labels`` say
    that a text has no label, so they are left out.
    """

    name: str
    folder: str
    sizes: Sizes
    most_labels: int = 30
    not_labels: tuple[str, ...] = ()


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("clinc150", "clinc150", Sizes(clean_per_label=10), not_labels=("oos",)),
        Scenario("banking77", "banking77", Sizes(clean_per_label=10)),
        Scenario("snips", "snips", Sizes(clean_per_label=20)),
        Scenario("sms_spam", "sms_spam", Sizes(clean_per_label=60)),
        Scenario("support_desk", str(SAMPLE), Sizes(clean_per_label=10)),
    )
}


def quick(sizes: Sizes) -> Sizes:
    """Two small stages, for a run of minutes."""
    return replace(sizes, first_test=60, stage_rows=200, poison=(0.25, 0.40))


def load_rows(scenario: Scenario, data: Path) -> tuple[Example, ...]:
    """Rows of the data set's training part; no two of them are near-duplicates.

    One row stands for each group of near-duplicates, so that whatever is split afterwards, no part
    knows a text of another. Raises BadInput naming what is missing.
    """
    file = data / scenario.folder / "train.jsonl"
    if not file.exists():
        raise BadInput(
            f"scenario {scenario.name!r}: {file} is missing; name the folder of the public data "
            "sets with --data, or run support_desk, which comes with the project"
        )
    labels: dict[str, set[str]] = {}
    rows: list[Example] = []
    for row in _read(file):
        known = labels.setdefault(_key(row.text), set())
        if not known and row.text.strip():
            rows.append(row)
        known.add(row.label)
    # A text with two labels has no truth that a score could use.
    rows = [
        r for r in rows if len(labels[_key(r.text)]) == 1 and r.label not in scenario.not_labels
    ]
    chosen = confusable_labels(rows, scenario.most_labels)
    rows = [row for row in rows if row.label in chosen]
    groups = group_near_duplicates([row.text for row in rows])
    first = dict(zip(reversed(groups), reversed(rows), strict=True))
    return tuple(first[group] for group in sorted(first))


def _read(file: Path) -> Iterator[Example]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                yield Example(str(row["text"]), str(row["label"]))
            except (json.JSONDecodeError, KeyError, TypeError):
                raise BadInput(
                    f'{file}:{number}: each line must be {{"text": …, "label": …}}'
                ) from None


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
