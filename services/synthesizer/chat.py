"""Training rows that a chat model writes; without one, or without budget, there are none."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from services.synthesizer.domain.chat_material import (
    WrittenMaterial,
    accept_material,
    material_question,
)
from shared.chat.asking import Chat
from shared.domain.patterns import ErrorPattern
from shared.domain.rows import TrainingRow
from shared.domain.tasks import Task

logger = logging.getLogger(__name__)


async def write_material(
    chat: Chat | None,
    patterns: Sequence[ErrorPattern],
    task: Task,
    *,
    run_id: str,
    evaluation_texts: Iterable[str],
    known_texts: Iterable[str],
    gold: int,
    hard: int,
) -> WrittenMaterial:
    """At most so many gold rows and hard negatives for each pattern, none of them measured on.

    ``known_texts`` are those of failures and pool. Raises TransientError when the ledger is away.
    """
    if chat is None:
        return WrittenMaterial((), {})
    questions = [material_question(p, task, gold=gold, hard=hard) for p in patterns]
    answers = await chat.ask(questions, run_id=run_id)
    measured, known = list(evaluation_texts), list(known_texts)
    rows, refused = list[TrainingRow](), Counter[str]()
    for pattern, answer in zip(patterns, answers, strict=True):
        if answer is None:
            continue
        # Its own thread: to compare with all that is measured and known takes seconds.
        written = await asyncio.to_thread(
            accept_material,
            pattern,
            answer,
            task,
            evaluation_texts=measured,
            known_texts=[*known, *(row.text for row in rows)],
            gold=gold,
            hard=hard,
        )
        rows += written.rows
        refused.update(written.refused)
    logger.info("the chat model wrote %d training rows; refused: %s", len(rows), dict(refused))
    return WrittenMaterial(tuple(rows), dict(sorted(refused.items())))
