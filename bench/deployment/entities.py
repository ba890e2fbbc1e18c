"""A data set of tagged tokens as a deployment: a first model that sees too many entities."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.deployment.traffic import Deployment, Request
from examples.demo.workload import Example, distinct, text_key
from shared.domain.bio import from_tokens
from shared.domain.entities import read_answer, write_answer
from shared.domain.tasks import TaskKind
from shared.errors import BadInput


@dataclass(frozen=True, slots=True)
class EntitySetting:
    """``first_rows`` train the first model: so few that its entity F1 is about 0.35.

    At most so many ``requests``; ``test_rows`` are cut off where the data set has no test part.
    """

    first_rows: int
    requests: int
    test_rows: int = 300


ENTITY_SETTINGS = {
    "wikigold": EntitySetting(first_rows=70, requests=1300),
    "ncbi_disease": EntitySetting(first_rows=40, requests=1500),
    "wnut17": EntitySetting(first_rows=80, requests=1500),
}


def build_entities(folder: Path, name: str, setting: EntitySetting, *, seed: int) -> Deployment:
    """Rows of ``train.jsonl`` become first rows and requests. Raises BadInput naming a bad row."""
    rng = Random(seed)
    pool = list(distinct(_tagged(folder / "train.jsonl")))
    rng.shuffle(pool)
    if (folder / "test.jsonl").exists():
        test = list(distinct(_tagged(folder / "test.jsonl")))
        unseen = {text_key(row.text) for row in test}
        pool = [row for row in pool if text_key(row.text) not in unseen]
    else:
        test, pool = pool[: setting.test_rows], pool[setting.test_rows :]
    first, rest = pool[: setting.first_rows], pool[setting.first_rows :]
    if len(first) < setting.first_rows or not rest or not test:
        raise BadInput(f"{folder}: {len(pool)} rows are too few: give the whole data set")
    types = {entity.type for row in (*pool, *test) for entity in read_answer(row.label)}
    return Deployment(
        name=name,
        seed=seed,
        labels=tuple(sorted(types)),
        first=tuple(first),
        requests=tuple(Request(r.text, r.label, r.label) for r in rest[: setting.requests]),
        test=tuple(test),
        kind=TaskKind.NER,
    )


def _tagged(file: Path) -> Iterator[Example]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        row = json.loads(line)
        text, entities = from_tokens(row["tokens"], row["tags"], row=f"{file}:{number}")
        yield Example(text, write_answer(entities, text))
