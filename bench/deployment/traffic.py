"""A data set as a deployment: rows of a first model, requests with references, an unseen test."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from examples.demo.serving import trace_id
from examples.demo.workload import (
    Example,
    confusable_labels,
    distinct,
    label_similarity,
    read_examples,
    text_key,
)
from shared.domain.tasks import TaskKind
from shared.errors import BadInput

NO_INTENT = "oos"
PARTS = ("train.jsonl", "validation.jsonl")


@dataclass(frozen=True, slots=True)
class Setting:
    """Which intents, and how few rows of each train the first model: it shall pass about 85 %."""

    confusable: bool
    first_rows: int
    intents: int = 30
    requests: int = 2999
    planted: int = 20


SETTINGS = {
    "clinc150": Setting(confusable=False, first_rows=5),
    "clinc150-confusable": Setting(confusable=True, first_rows=7),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request; ``reference`` is what production believes to be right, ``truth`` what is."""

    text: str
    truth: str
    reference: str

    @property
    def planted(self) -> bool:
        return self.reference != self.truth

    @property
    def id(self) -> str:
        """The id of its trace."""
        return trace_id(self.served)

    @property
    def served(self) -> Example:
        return Example(self.text, self.reference)


@dataclass(frozen=True, slots=True)
class Deployment:
    """``first`` trains the first model; ``test`` is never shown to anyone."""

    name: str
    seed: int
    labels: tuple[str, ...]
    first: tuple[Example, ...]
    requests: tuple[Request, ...]
    test: tuple[Example, ...]
    kind: TaskKind = TaskKind.CLASSIFICATION


def build(
    folder: Path, name: str, setting: Setting, *, seed: int, parts: Sequence[str] = PARTS
) -> Deployment:
    """The rows of these ``parts`` become ``first`` and requests. Raises BadInput.

    ``seed`` draws the rows and, unless the most confusable are asked for, the intents. A planted
    reference is the intent whose words are most like the true one's.
    """
    rng = Random(seed)
    test = _intents(folder / "test.jsonl")
    unseen = {text_key(example.text) for example in test}
    pool = _intents(*(folder / part for part in parts))
    pool = [example for example in pool if text_key(example.text) not in unseen]
    labels = _labels(pool, setting, rng)
    pool = [example for example in pool if example.label in labels]
    rng.shuffle(pool)
    first, rest = _divided(pool, setting.first_rows)
    if len(rest) < setting.requests:
        raise BadInput(
            f"{folder}: {len(rest)} rows are left to be served, {setting.requests} are needed: "
            "give the whole data set"
        )
    return Deployment(
        name=name,
        seed=seed,
        labels=tuple(sorted(labels)),
        first=tuple(first),
        requests=_requests(rest[: setting.requests], pool, setting.planted, rng),
        test=tuple(example for example in test if example.label in labels),
    )


def _intents(*files: Path) -> list[Example]:
    rows = distinct(row for file in files for row in read_examples(file))
    return [row for row in rows if row.label != NO_INTENT]


def _labels(pool: list[Example], setting: Setting, rng: Random) -> set[str]:
    if setting.confusable:
        return confusable_labels(pool, setting.intents)
    names = sorted({example.label for example in pool})
    return set(rng.sample(names, min(setting.intents, len(names))))


def _divided(pool: list[Example], count: int) -> tuple[list[Example], list[Example]]:
    """(the first ``count`` rows of each label, the rest)."""
    seen = Counter[str]()
    first, rest = list[Example](), list[Example]()
    for example in pool:
        seen[example.label] += 1
        (first if seen[example.label] <= count else rest).append(example)
    return first, rest


def _requests(
    rows: list[Example], pool: list[Example], planted: int, rng: Random
) -> tuple[Request, ...]:
    names, similarity = label_similarity(pool)
    nearest = {name: names[int(similarity[at].argmax())] for at, name in enumerate(names)}
    wrong = set(rng.sample(range(len(rows)), planted))
    return tuple(
        Request(row.text, row.label, nearest[row.label] if at in wrong else row.label)
        for at, row in enumerate(rows)
    )
