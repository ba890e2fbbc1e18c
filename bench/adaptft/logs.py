"""The logs of a scenario and seed: clean pool, stages, and what is judged of served rows.

``build`` is a pure function of its arguments: the same ones give the same bytes. Rows are split
into train and test parts before anything is perturbed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from operator import eq
from random import Random

from bench.adaptft.answers import Answers, answers_of
from bench.adaptft.learning import CLASSIFIER, Learning
from bench.adaptft.perturbations import (
    EXACT_COPY,
    LABEL_FLIP,
    NEAR_DUPLICATE,
    REPETITION,
    RETRY_STORM,
    Perturber,
    near_duplicate,
)
from bench.adaptft.phrases import Templates
from bench.adaptft.poison import POISON, KeyWords, poison_rates
from bench.adaptft.scenarios import Sizes
from bench.adaptft.traffic import START, Traffic
from examples.demo.workload import Example
from shared.domain.ids import content_digest, derive_id
from shared.domain.pipeline import Recipe
from shared.domain.rows import Row
from shared.domain.tasks import Task
from shared.domain.traces import Verdict
from shared.errors import BadInput
from shared.tasks import TaskBehaviour, behaviour

UNCORRECTED = 0.3
# Of poison that is no label flip: a wrong correction, else a right one, else none.
WRONG, WRONG_OR_RIGHT = 0.5, 0.7


class Part(StrEnum):
    TRAIN = "train"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Roll:
    """What decides a row's correction, the same for every arm.

    ``kind`` is uniform in [0, 1); ``wrong`` is the answer that a wrong correction would give.
    """

    kind: float
    wrong: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """One served request. ``original`` is the text before it was perturbed.

    ``truth`` is the answer of ``original``, with the places that ``text`` has it at; where
    ``answerable``, it is the right answer to ``text`` too. ``flags`` are names of perturbations,
    ``poison`` says that one of them is poison.
    """

    id: str
    stage: int
    part: Part
    text: str
    original: str
    truth: str
    flags: tuple[str, ...]
    poison: bool
    answerable: bool
    roll: Roll
    metadata: dict[str, str]
    occurred_at: datetime

    @property
    def noisy(self) -> bool:
        """Something was done to the text; a flipped label alone does not count."""
        return any(flag != LABEL_FLIP for flag in self.flags)


@dataclass(frozen=True, slots=True)
class Logged:
    """A row with what the log says of it; ``verdict`` is None where nobody judged."""

    row: LogRow
    output: str
    corrected: str | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Stage:
    """``number`` counts from 0, the clean stage, which has a test part only."""

    number: int
    poison_share: float
    train: tuple[LogRow, ...]
    test: tuple[LogRow, ...]


@dataclass(frozen=True, slots=True)
class ScenarioData:
    """All that the arms of a scenario and seed share."""

    name: str
    seed: int
    templates: Templates
    learning: Learning
    task: Task
    answers: Answers
    clean: tuple[Row, ...]
    stages: tuple[Stage, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, or entity types; empty where answers are free."""
        return self.task.labels

    @property
    def recipe(self) -> Recipe:
        """The one recipe of all arms."""
        return self.learning.recipe(self.seed)

    @property
    def behaviour(self) -> TaskBehaviour:
        return behaviour(self.task)

    @property
    def test(self) -> tuple[LogRow, ...]:
        """The union of all test parts; rows without a right answer are not scored."""
        return tuple(row for stage in self.stages for row in stage.test if row.answerable)

    def dump(self) -> bytes:
        """JSON lines: the clean pool, then every row of every stage."""
        rows = [row for stage in self.stages for row in (*stage.train, *stage.test)]
        lines = [asdict(row) for row in (*self.clean, *rows)]
        for line in lines:
            # Where a person finds a row is nothing that an arm sees.
            line.pop("place", None)
        return b"".join(
            json.dumps(line, ensure_ascii=False, sort_keys=True, default=datetime.isoformat).encode(
                "utf-8"
            )
            + b"\n"
            for line in lines
        )

    @property
    def digest(self) -> str:
        """Of every byte that an arm can see."""
        return content_digest([self.name, self.seed, self.dump().decode()])


def build(
    name: str,
    rows: Sequence[Example],
    sizes: Sizes,
    *,
    seed: int,
    templates: Templates,
    learning: Learning = CLASSIFIER,
) -> ScenarioData:
    """The logs of a scenario. ``rows`` hold no near-duplicates. Raises BadInput if too few."""
    rng = Random(f"{name}:{seed}")
    shuffled = rng.sample(list(rows), len(rows))
    task = learning.task(row.label for row in rows)
    sort, answers = behaviour(task).sort, answers_of(task, rows)
    clean, rest = _clean_pool(name, shuffled, sizes, sort)
    key_words = KeyWords.of([Example(row.text, sort(row.label)) for row in rows])
    traffic = Traffic(Random(f"{name}:{seed}:traffic"))
    stages = [_stage(0, 0.0, (), _plain(rest[: sizes.first_test], name, seed, answers), traffic)]
    at = sizes.first_test
    for number, share in enumerate(sizes.poison, 1):
        chunk, at = rest[at : at + sizes.stage_rows], at + sizes.stage_rows
        perturber = Perturber(templates, answers, sort, key_words, poison_rates(share))
        made = [
            _perturbed(_plain(part, name, seed, answers), number, kind, perturber)
            for part, kind in (
                (chunk[: sizes.stage_train], Part.TRAIN),
                (chunk[sizes.stage_train :], Part.TEST),
            )
        ]
        stages.append(_stage(number, share, made[0], made[1], traffic))
    pool = tuple(Row(derive_id("adaptft", name, "clean", r.text), r.text, r.label) for r in clean)
    return ScenarioData(name, seed, templates, learning, task, answers, pool, tuple(stages))


Right = Callable[[str, str], bool]


def judged(rows: Sequence[LogRow], outputs: Sequence[str], right: Right = eq) -> list[Logged]:
    """What the log says of rows, given the deployed model's outputs: the realistic corrections.

    Clean rows are corrected rightly; of noisy ones that were answered wrongly 30 % stay
    uncorrected. A flipped label is always wrong. Of other poison half is corrected wrongly, a fifth
    rightly, the rest not at all (paper §3). ``verdict`` is pass where correction and output agree,
    as ``right`` says of an output and a target.
    """
    return [
        _logged(row, output, _correction(row, output, right), right)
        for row, output in zip(rows, outputs, strict=True)
    ]


def _logged(row: LogRow, output: str, corrected: str | None, right: Right) -> Logged:
    if corrected is None:
        return Logged(row, output, None, None)
    verdict = Verdict.PASS if right(output, corrected) else Verdict.FAIL
    return Logged(row, output, corrected, verdict)


def _correction(row: LogRow, output: str, right: Right) -> str | None:
    if not row.poison:
        missed = row.noisy and not right(output, row.truth) and row.roll.kind < UNCORRECTED
        return None if missed else row.truth
    if never_corrected(row):
        return None
    return row.roll.wrong if LABEL_FLIP in row.flags or row.roll.kind < WRONG else row.truth


def never_corrected(row: LogRow) -> bool:
    """Poison that nobody corrects, whatever was answered: no arm can learn it."""
    return row.poison and LABEL_FLIP not in row.flags and row.roll.kind >= WRONG_OR_RIGHT


def _clean_pool(
    name: str, rows: Sequence[Example], sizes: Sizes, sort: Callable[[str], str]
) -> tuple[list[Example], list[Example]]:
    taken, rest, seen = list[Example](), list[Example](), Counter[str]()
    for row in rows:
        seen[label := sort(row.label)] += 1
        (taken if seen[label] <= sizes.clean_per_label else rest).append(row)
    if len(rest) < sizes.inference_rows or min(seen.values(), default=0) < sizes.clean_per_label:
        raise BadInput(
            f"scenario {name!r}: {len(rows)} distinct rows with {min(seen.values(), default=0)} of "
            f"the rarest label; {sizes.clean_per_label} a label and {sizes.inference_rows} more "
            "are needed"
        )
    return taken, rest


def _plain(rows: Sequence[Example], name: str, seed: int, answers: Answers) -> tuple[LogRow, ...]:
    return tuple(
        LogRow(
            id=(row_id := derive_id("adaptft", name, seed, row.text)),
            stage=0,
            part=Part.TEST,
            text=row.text,
            original=row.text,
            truth=row.label,
            flags=(),
            poison=False,
            answerable=True,
            roll=_roll(row_id, row.label, row.text, answers),
            metadata={},
            occurred_at=START,
        )
        for row in rows
    )


def _perturbed(
    rows: Sequence[LogRow], stage: int, part: Part, perturber: Perturber
) -> tuple[LogRow, ...]:
    found: list[LogRow] = []
    for row in rows:
        done = perturber.perturbed(row.text, row.truth, Random(f"{row.id}:perturb"))
        poison = any(flag in POISON for flag in done.flags)
        answerable = all(flag not in POISON or flag == LABEL_FLIP for flag in done.flags)
        base = replace(
            row,
            stage=stage,
            part=part,
            text=done.text,
            truth=done.truth,
            flags=done.flags,
            poison=poison,
            answerable=answerable,
            roll=_roll(row.id, done.truth, done.text, perturber.answers),
        )
        found.extend((base, *_repeats(base, perturber.answers)))
    return tuple(found)


def _repeats(row: LogRow, answers: Answers) -> Iterator[LogRow]:
    # Its own draws, so that how a text was perturbed does not decide how often it came.
    rng = Random(f"{row.id}:repeat")
    rolled = {name for name, rate in REPETITION.items() if rng.random() < rate}
    if NEAR_DUPLICATE in rolled:
        yield _copy(row, NEAR_DUPLICATE, near_duplicate(row.text, rng), 1, answers)
    if EXACT_COPY in rolled:
        yield _copy(row, EXACT_COPY, row.text, 1, answers)
    if RETRY_STORM in rolled and row.part is Part.TRAIN:
        for number in range(rng.randint(3, 8)):
            # One user sends the same again and again: what is said of one is said of all.
            yield replace(_copy(row, RETRY_STORM, row.text, number, answers), roll=row.roll)


def _copy(row: LogRow, flag: str, text: str, number: int, answers: Answers) -> LogRow:
    row_id = derive_id("adaptft", "copy", row.id, flag, number)
    truth = answers.moved(row.truth, row.text, text)
    if truth is None:
        # What was changed is what the answer rests on: another dot changes no answer.
        text, truth = f"{row.text} .", row.truth
    roll = _roll(row_id, truth, text, answers)
    return replace(row, id=row_id, text=text, truth=truth, flags=(*row.flags, flag), roll=roll)


def _roll(row_id: str, truth: str, text: str, answers: Answers) -> Roll:
    rng = Random(f"{row_id}:roll")
    return Roll(kind=rng.random(), wrong=answers.wrong(truth, text, rng))


def _stage(
    number: int,
    share: float,
    train: Sequence[LogRow],
    test: Sequence[LogRow],
    traffic: Traffic,
) -> Stage:
    """The parts with times and metadata; train rows in the order in which they came in."""
    when = START + timedelta(days=number)
    return Stage(number, share, traffic.served(train, when), traffic.served(test, when))
