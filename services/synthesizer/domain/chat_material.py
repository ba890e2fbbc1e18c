"""Gold rows and hard negatives that a chat model writes for an error pattern (paper §2.3, §2.6).

What it writes is checked like any other material: the label must be the one asked for, and nothing
may resemble what is measured, what is known already, or another written row.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from shared.domain.chat import Answer, Prompt, Question
from shared.domain.ids import derive_id
from shared.domain.patterns import ErrorPattern
from shared.domain.rows import Role, TrainingRow
from shared.domain.tasks import Task
from shared.domain.written import MAX_WORDS, WrittenRow, accept_written

SOURCE = "chat"
_EXAMPLES = 8


class MaterialAnswer(Answer):
    """Rows of the missed label, and rows of other labels that look like them."""

    gold: Annotated[tuple[WrittenRow, ...], Field(max_length=100)]
    hard: Annotated[tuple[WrittenRow, ...], Field(max_length=100)]


@dataclass(frozen=True, slots=True)
class WrittenMaterial:
    """Rows to train on, and how many were refused for which reason."""

    rows: tuple[TrainingRow, ...]
    refused: dict[str, int]


MATERIAL = Prompt(
    name="write-material",
    version=1,
    system=(
        "You write training examples for a text classifier. You are given a label that it often "
        "misses, the label it answers instead, and inputs it failed on. Write gold examples: new "
        "inputs whose right label is the missed one. Write hard examples: new inputs that look "
        "much like them but whose right label is another one. Each has exactly one right label. "
        "Write as real users do, each in another way, of the length and tone of the inputs "
        "given, and do not repeat them."
    ),
    answer=MaterialAnswer,
    max_tokens=3_000,
)


def material_question(
    pattern: ErrorPattern, task: Task, *, gold: int, hard: int
) -> Question[MaterialAnswer]:
    """Which examples would teach what this pattern misses?"""
    others = contrast_labels(pattern, task)
    return MATERIAL.about(
        pattern.id,
        [
            ("missed-label", pattern.expected),
            ("answered-label", pattern.predicted or "various others"),
            *(("failed-input", text) for text in pattern.examples[:_EXAMPLES]),
        ],
        facts=(
            f"Write {gold} gold examples and {hard} hard examples of at most {MAX_WORDS} words. "
            f"Labels of hard examples: {', '.join(others)}."
        ),
        choices={"label": tuple(sorted({*others, *_gold_labels(pattern, task)}))},
    )


def contrast_labels(pattern: ErrorPattern, task: Task) -> tuple[str, ...]:
    """Labels of hard negatives: the one it fell for, or any other than the missed one."""
    if pattern.predicted in task.labels and pattern.predicted != pattern.expected:
        return (pattern.predicted,)
    return tuple(label for label in task.labels if label != pattern.expected)


def accept_material(
    pattern: ErrorPattern,
    answer: MaterialAnswer,
    task: Task,
    *,
    evaluation_texts: Iterable[str],
    known_texts: Iterable[str],
    gold: int,
    hard: int,
    max_words: int = MAX_WORDS,
) -> WrittenMaterial:
    """The written rows that may be trained on, at most ``gold`` and ``hard`` of them."""
    measured = list(evaluation_texts)
    known = [*known_texts, *pattern.examples]
    parts = (
        (Role.GOLD, answer.gold, _gold_labels(pattern, task), gold),
        (Role.HARD, answer.hard, contrast_labels(pattern, task), hard),
    )
    rows: list[TrainingRow] = []
    refused: Counter[str] = Counter()
    for role, written, labels, most in parts:
        accepted = accept_written(
            written,
            labels=labels,
            evaluation_texts=measured,
            known_texts=[*known, *(row.text for row in rows)],
            max_words=max_words,
        )
        refused.update(accepted.refused)
        rows += _rows(pattern, role, accepted.rows[:most])
    return WrittenMaterial(tuple(rows), dict(sorted(refused.items())))


def _gold_labels(pattern: ErrorPattern, task: Task) -> tuple[str, ...]:
    return (pattern.expected,) if pattern.expected in task.labels else ()


def _rows(
    pattern: ErrorPattern, role: Role, written: Sequence[WrittenRow]
) -> Iterable[TrainingRow]:
    for row in written:
        yield TrainingRow(
            id=derive_id("written", pattern.id, row.text, row.label),
            text=row.text,
            target=row.label,
            role=role,
            source=SOURCE,
            reason=f"written for pattern {pattern.id} with {MATERIAL.name} {MATERIAL.version}",
        )
