"""A data set with a seed: rows of a first model, a log that it serves, and an unseen test."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from bench.adaptft.scenarios import SCENARIOS, load_rows
from examples.demo.workload import Example
from shared.domain.ids import content_digest, derive_id
from shared.domain.rows import Row
from shared.domain.tasks import TaskKind
from shared.errors import BadInput

REQUESTS, TEST = 1500, 1500
LEAST_TEST = 300


@dataclass(frozen=True, slots=True)
class Case:
    """``first`` trains the first model, which serves ``requests``; nothing chooses on ``test``.

    No two texts of a case are near-duplicates. Every target is the truth: nothing is poisoned.
    """

    name: str
    seed: int
    labels: tuple[str, ...]
    first: tuple[Row, ...]
    requests: tuple[Row, ...]
    test: tuple[Row, ...]

    @property
    def digest(self) -> str:
        """Of every row."""
        return content_digest(asdict(self))


def load(name: str, data: Path, *, seed: int) -> Case:
    """A case of a scenario of AdaptFT-Bench, without its poison. Raises BadInput."""
    if name not in SCENARIOS:
        raise BadInput(f"scenario {name!r}: choose from {', '.join(SCENARIOS)}")
    scenario = SCENARIOS[name]
    if scenario.learning.kind is not TaskKind.CLASSIFICATION:
        raise BadInput(f"scenario {name!r}: is no classification: choose another")
    rows = load_rows(scenario, data)
    return build(name, rows, first=scenario.sizes.clean_per_label, requests=REQUESTS, seed=seed)


def build(name: str, rows: Sequence[Example], *, first: int, requests: int, seed: int) -> Case:
    """``first`` rows of each label, then so many requests; of the rest at most ``TEST`` rows.

    ``rows`` hold no near-duplicates. Raises BadInput when the rest is too small to measure with.
    """
    seen = Counter[str]()
    known, rest = list[Row](), list[Row]()
    for row in Random(f"{name}:{seed}").sample(list(rows), len(rows)):
        seen[row.label] += 1
        kept = Row(derive_id("search", name, row.text), row.text, row.label)
        (known if seen[row.label] <= first else rest).append(kept)
    test = rest[requests : requests + TEST]
    if len(test) < LEAST_TEST:
        raise BadInput(
            f"scenario {name!r}: {len(rows)} distinct rows leave {len(test)} for the test beside "
            f"{first} of each label and {requests} requests, {LEAST_TEST} are needed: "
            "give the whole data set"
        )
    labels = tuple(sorted({row.target for row in known}))
    return Case(name, seed, labels, tuple(known), tuple(rest[:requests]), tuple(test))
