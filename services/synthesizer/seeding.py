"""A task's rows from its description alone, written by a chat model in rounds."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from services.synthesizer.domain.seeds import (
    Seeds,
    confirmed,
    grown,
    labels_question,
    read_question,
    seeds_question,
    well_formed,
)
from shared.chat.asking import Chat
from shared.errors import BadInput

logger = logging.getLogger(__name__)

# One to learn and one to be measured on.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class SeedingPolicy:
    """How many rows are written for each label, at most so many in a question, in few rounds."""

    rows: int = 24
    at_once: int = 12
    rounds: int = 4


async def write_seeds(
    chat: Chat, description: str, labels: Sequence[str], policy: SeedingPolicy, *, run_id: str
) -> Seeds:
    """Rows of each label, as many as the policy asks for where the model wrote as many.

    Each round shows it what is there, so that later rows say other things. Raises BadInput when it
    names no labels, TransientError when the ledger is away.
    """
    names = tuple(labels) or await _proposed(chat, description, run_id=run_id)
    seeds = Seeds(dict.fromkeys(sorted(names), ()), {})
    for turn in range(policy.rounds):
        missing = seeds.missing(policy.rows)
        if not missing:
            break
        seeds = await _round(chat, description, seeds, missing, policy, turn=turn, run_id=run_id)
    counts = {name: len(rows) for name, rows in seeds.rows.items()}
    logger.info("the chat model wrote %s; refused: %s", counts, dict(seeds.refused))
    if poor := [name for name, count in counts.items() if count < _FEWEST]:
        raise BadInput(
            f"the chat model wrote {counts[poor[0]]} usable rows of label {poor[0]!r}, refused: "
            f"{dict(seeds.refused)}: give rows with --data, or a more capable chat model"
        )
    return seeds


async def _round(
    chat: Chat,
    description: str,
    seeds: Seeds,
    missing: dict[str, int],
    policy: SeedingPolicy,
    *,
    turn: int,
    run_id: str,
) -> Seeds:
    names = tuple(seeds.rows)
    asked = [
        seeds_question(
            description,
            name,
            names,
            [row.text for row in seeds.rows[name]],
            count=min(count, policy.at_once),
            turn=turn,
        )
        for name, count in missing.items()
    ]
    answers = await chat.ask(asked, run_id=run_id)
    formed = {
        name: well_formed(name, answer, seeds)
        for name, answer in zip(missing, answers, strict=True)
    }
    written = {name: rows for name, (rows, _) in formed.items() if rows}
    readings = await chat.ask(
        [read_question(description, names, rows) for rows in written.values()], run_id=run_id
    )
    read = dict(zip(written, readings, strict=True))
    for name, (rows, refused) in formed.items():
        kept, unconfirmed = confirmed(rows, read.get(name))
        seeds = grown(seeds, name, kept[: missing[name]], (refused, unconfirmed))
    return seeds


async def _proposed(chat: Chat, description: str, *, run_id: str) -> tuple[str, ...]:
    [answer] = await chat.ask([labels_question(description)], run_id=run_id)
    names = tuple(dict.fromkeys(one.name for one in answer.labels)) if answer else ()
    if len(names) < 2:
        raise BadInput(
            "the chat model named no two labels for the description: name them with --labels, or "
            "give rows with --data"
        )
    return names
