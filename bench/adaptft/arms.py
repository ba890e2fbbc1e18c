"""The arms: what each takes of the same logs, from the same first model (paper §3).

An arm but the agent retrains from the base model after every stage, on the clean pool and what it
takes of all train logs so far, and always deploys. Its log of a stage holds the answers of its own
model of the stage before.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from bench.adaptft.logs import Logged, ScenarioData, judged
from bench.adaptft.training import Checkpoint, Trainer
from shared.domain.rows import Row
from shared.domain.tasks import Task, TaskKind


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """The arm's model after a stage.

    ``outputs``: its answers to ``ScenarioData.test``, in that order. ``promoted``: a new model was
    deployed. ``quarantined``: ids of the stage's train rows that the arm holds for poison, None
    for an arm that does not look. ``train_rows`` and ``train_seconds``: of its last training.
    """

    stage: int
    outputs: tuple[str, ...]
    promoted: bool
    quarantined: frozenset[str] | None = None
    train_rows: int = 0
    train_seconds: float = 0.0


class AgentArm(Protocol):
    """The whole system as an arm.

    Called with the scenario's data, the first model (its adapter, training set and rows lie in
    ``trainer.artifacts``) and the trainer, whose folder outlives the call. Serves the train rows of
    each stage with its deployed model, takes their corrections from ``logs.judged`` and nothing
    else, and yields one outcome for each stage from 1 on, in order.
    """

    def __call__(
        self, data: ScenarioData, first: Checkpoint, trainer: Trainer
    ) -> AsyncIterator[StageOutcome]: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows to train on besides the clean pool, and ids of rows held for poison."""

    rows: Sequence[Row]
    quarantined: frozenset[str] | None = None


class Arm(Protocol):
    """``logs``: the train logs of the stages so far, oldest first."""

    def __call__(self, data: ScenarioData, logs: Sequence[Sequence[Logged]]) -> Taken: ...


def run_arm(
    arm: Arm, data: ScenarioData, first: Checkpoint, trainer: Trainer
) -> Iterator[StageOutcome]:
    """One outcome for each stage from 1 on."""
    deployed, logs = first, list[Sequence[Logged]]()
    for stage in data.stages[1:]:
        outputs = trainer.predict(deployed, [row.text for row in stage.train])
        logs.append(judged(stage.train, outputs, data.behaviour.is_right))
        taken = arm(data, logs)
        deployed = trainer.train([*data.clean, *taken.rows], data.task, data.recipe)
        yield StageOutcome(
            stage=stage.number,
            outputs=trainer.predict(deployed, [row.text for row in data.test]),
            promoted=True,
            quarantined=taken.quarantined,
            train_rows=len(deployed.rows),
            train_seconds=deployed.trained.train_seconds,
        )


def naive(data: ScenarioData, logs: Sequence[Sequence[Logged]]) -> Taken:
    """Everything, as corrected; what nobody corrected with the model's own answer.

    Only what is no answer of the task at all is left out: nothing could be trained on it.
    """
    told = data.behaviour
    rows = [
        Row(one.row.id, text := one.row.text, told.canonical(one.corrected or one.output, text))
        for log in logs
        for one in log
    ]
    return Taken([row for row in rows if not told.objection(row.target, data.task, row.text)])


def naive_oracle(data: ScenarioData, logs: Sequence[Sequence[Logged]]) -> Taken:
    """Everything, with the truth of the text before it was perturbed."""
    return Taken([_true(one) for log in logs for one in log])


def clean(data: ScenarioData, logs: Sequence[Sequence[Logged]]) -> Taken:
    """Only rows that nothing was done to."""
    return Taken([_true(one) for log in logs for one in log if not one.row.flags])


def perfect_filter(data: ScenarioData, logs: Sequence[Sequence[Logged]]) -> Taken:
    """Knows the flags: all rows but poison, with the truth."""
    poison = frozenset(one.row.id for one in logs[-1] if one.row.poison)
    return Taken([_true(one) for log in logs for one in log if not one.row.poison], poison)


def random_augmentation(data: ScenarioData, logs: Sequence[Sequence[Logged]]) -> Taken:
    """As many altered copies of the clean pool's rows as the log has rows (EDA, Wei and Zou)."""
    count = sum(len(log) for log in logs)
    sort, words = data.behaviour.sort, defaultdict[str, list[str]](list)
    for row in data.clean:
        words[sort(row.target)] += row.text.split()
    rows: list[Row] = []
    for number in range(count):
        row = data.clean[number % len(data.clean)]
        rng = Random(f"{data.name}:{data.seed}:eda:{number}")
        text = _augmented(row, words[sort(row.target)], rng)
        target = data.answers.moved(row.target, row.text, text)
        # An answer that was torn apart leaves the row as it was.
        text, target = (row.text, row.target) if target is None else (text, target)
        rows.append(Row(f"{row.id}:{number}", text, target))
    return Taken(rows)


def naive_cleanlab(data: ScenarioData, logs: Sequence[Sequence[Logged]]) -> Taken:
    """The naive rows less those that cleanlab's ``find_label_issues`` names, all by its defaults.

    Probabilities are five-fold cross-validated logistic regression over
    MiniLM's embeddings. The clean pool is in the fit, and is never dropped.
    """
    from bench.adaptft.cleanlab_filter import label_issues

    rows = naive(data, logs).rows
    found = label_issues([*data.clean, *rows], data.labels)[len(data.clean) :]
    dropped = {row.id for row, wrong in zip(rows, found, strict=True) if wrong}
    latest = frozenset(one.row.id for one in logs[-1] if one.row.id in dropped)
    return Taken([row for row in rows if row.id not in dropped], latest)


ARMS: dict[str, Arm] = {
    "naive": naive,
    "naive-oracle": naive_oracle,
    "random": random_augmentation,
    "clean": clean,
    "naive-cleanlab": naive_cleanlab,
    "perfect-filter": perfect_filter,
}
AGENT = "agent"
ALL_ARMS = (AGENT, *ARMS)


def left_out(arm: str, task: Task) -> str | None:
    """Why an arm cannot run on a task, or None."""
    if arm != "naive-cleanlab" or (task.labels and task.kind is not TaskKind.NER):
        return None
    if task.kind is TaskKind.NER:
        return "find_label_issues asks for one label a text, and these texts name entities"
    return "find_label_issues asks for labels, and these answers are free"


def _true(one: Logged) -> Row:
    return Row(one.row.id, one.row.text, one.row.truth)


def _augmented(row: Row, words: Sequence[str], rng: Random) -> str:
    """A tenth of the words, at least one, swapped, dropped or joined by a word of the label."""
    found = row.text.split()
    for _ in range(max(1, len(found) // 10)):
        way, at = rng.randrange(3), rng.randrange(len(found))
        if way == 0 and len(found) > 1:
            other = rng.randrange(len(found))
            found[at], found[other] = found[other], found[at]
        elif way == 1 and len(found) > 2:
            del found[at]
        else:
            found.insert(at, rng.choice(words))
    return " ".join(found)
