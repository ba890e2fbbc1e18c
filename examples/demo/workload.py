"""A labelled data set as a production story: a little to train on, much traffic, an unseen test."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from shared.domain.tasks import TaskKind
from shared.errors import BadInput

SAMPLE = Path(__file__).resolve().parents[1] / "support_desk"


@dataclass(frozen=True, slots=True)
class Example:
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Workload:
    """``seed_rows`` train the first model, ``traffic`` is served, ``test`` is neither.

    The labels of rows are answers of this ``kind`` of task.
    """

    name: str
    labels: tuple[str, ...]
    seed_rows: tuple[Example, ...]
    traffic: tuple[Example, ...]
    test: tuple[Example, ...]
    kind: TaskKind = TaskKind.CLASSIFICATION


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes that keep the demo short. ``seed_rows`` are for each label."""

    seed_rows: int
    labels: int = 30
    traffic: int = 1500
    test: int = 1000
    test_share: float = 0.25


def load_workload(folder: Path, limits: Limits, *, seed: int = 17) -> Workload:
    """Split ``train.jsonl`` (and ``test.jsonl`` if it is there). Raises BadInput."""
    rng = random.Random(seed)
    train = distinct(read_examples(folder / "train.jsonl"))
    rng.shuffle(train)
    test_file = folder / "test.jsonl"
    if test_file.exists():
        test = distinct(read_examples(test_file))
        seen = {text_key(example.text) for example in test}
        train = [example for example in train if text_key(example.text) not in seen]
    else:
        cut = round(len(train) * limits.test_share)
        test, train = train[:cut], train[cut:]
    labels = confusable_labels(train, limits.labels)
    train = [example for example in train if example.label in labels]
    test = [example for example in test if example.label in labels]
    rng.shuffle(test)
    seed_rows, traffic = _take_of_each(train, limits.seed_rows)
    missing = set(labels) - {example.label for example in seed_rows}
    if len(labels) < 2 or missing or not test or len(traffic) < 100:
        raise BadInput(
            f"{folder}: {len(labels)} labels, {len(traffic)} rows of traffic and {len(test)} of "
            "test are too few: give at least two labels and some hundred rows"
        )
    return Workload(
        name=folder.name,
        labels=tuple(sorted(labels)),
        seed_rows=tuple(seed_rows),
        traffic=tuple(traffic[: limits.traffic]),
        test=tuple(test[: limits.test]),
    )


def confusable_labels(rows: Sequence[Example], most: int) -> set[str]:
    """At most ``most`` labels; when there are more, those whose words are most alike."""
    labels = {row.label for row in rows}
    if len(labels) <= most:
        return labels
    names, similarity = label_similarity(rows)
    order = np.dstack(np.unravel_index(np.argsort(-similarity, axis=None), similarity.shape))[0]
    chosen: set[str] = set()
    for left, right in order:
        pair = {names[left], names[right]}
        if len(chosen | pair) <= most:
            chosen |= pair
    return chosen


def label_similarity(rows: Sequence[Example]) -> tuple[list[str], NDArray[np.float64]]:
    """(labels sorted, cosines [labels, labels] of the words of their rows, -1 on the diagonal)."""
    names = sorted({row.label for row in rows})
    texts = {name: " ".join(r.text for r in rows if r.label == name) for name in names}
    vectors: Any = TfidfVectorizer(sublinear_tf=True).fit_transform([texts[n] for n in names])
    similarity = np.asarray((vectors @ vectors.T).todense())
    np.fill_diagonal(similarity, -1.0)
    return names, similarity


def read_examples(file: Path) -> Iterable[Example]:
    """The rows of a JSONL file of ``text`` and ``label``. Raises BadInput, naming the line."""
    if not file.exists():
        raise BadInput(f"{file} is missing: give a folder with train.jsonl of text and label")
    # Not as text: a line that is not UTF-8 shall be named.
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line.decode("utf-8-sig"))
                yield Example(str(row["text"]), str(row["label"]))
            except (ValueError, KeyError, TypeError):
                raise BadInput(
                    f'{file}:{number}: each line must be {{"text": …, "label": …}}, in UTF-8'
                ) from None


def distinct(examples: Iterable[Example]) -> list[Example]:
    """Each text once; one that carries two labels is nobody's truth and is left out."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    first: dict[str, Example] = {}
    for example in examples:
        if example.text.strip():
            labels[text_key(example.text)].add(example.label)
            first.setdefault(text_key(example.text), example)
    return [example for key, example in first.items() if len(labels[key]) == 1]


def text_key(text: str) -> str:
    """Equal for texts that differ in case and spaces alone."""
    return " ".join(text.casefold().split())


def _take_of_each(rows: Sequence[Example], count: int) -> tuple[list[Example], list[Example]]:
    taken, rest, seen = list[Example](), list[Example](), Counter[str]()
    for row in rows:
        seen[row.label] += 1
        (taken if seen[row.label] <= count else rest).append(row)
    return taken, rest
