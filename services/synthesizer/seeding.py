"""A task's rows from its description alone, written by a chat model in rounds."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from services.synthesizer.domain.answer_seeds import AnswerSeeds
from services.synthesizer.domain.entity_seeds import EntitySeeds, types_question
from services.synthesizer.domain.label_seeds import LabelSeeds, labels_question
from services.synthesizer.domain.seeds import Seeds, SeedWriter, confirmed, grown, well_formed
from shared.chat.asking import Chat
from shared.domain.answer_form import AnswerForm
from shared.domain.row_files import PlacedRow
from shared.domain.tasks import TaskKind
from shared.errors import BadInput

logger = logging.getLogger(__name__)

# One to learn and one to be measured on.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class SeedingPolicy:
    """How many rows are written of each sort, at most so many in a question, in few rounds."""

    rows: int = 24
    at_once: int = 12
    rounds: int = 4


async def write_seeds(
    chat: Chat,
    kind: TaskKind,
    description: str,
    policy: SeedingPolicy,
    *,
    labels: Sequence[str] = (),
    form: AnswerForm | None = None,
    run_id: str,
) -> tuple[PlacedRow, ...]:
    """Rows of each sort, as many as the policy asks for where the model wrote as many.

    Each round shows it what is there, so that later rows say other things. Raises BadInput when it
    names no labels or types and where nothing could confirm its answers, TransientError when the
    ledger is away.
    """
    writer = await _writer(chat, kind, description, labels, form, run_id=run_id)
    seeds = Seeds(dict.fromkeys(writer.sorts, ()), {})
    for turn in range(policy.rounds):
        missing = seeds.missing(policy.rows)
        if not missing:
            break
        seeds = await _round(chat, writer, seeds, missing, policy, turn=turn, run_id=run_id)
    counts = {sort: len(rows) for sort, rows in seeds.rows.items()}
    logger.info("the chat model wrote %s; refused: %s", counts, dict(seeds.refused))
    if poor := [sort for sort, count in counts.items() if count < _FEWEST]:
        raise BadInput(
            f"the chat model wrote {counts[poor[0]]} usable rows of {poor[0]!r}, refused: "
            f"{dict(seeds.refused)}: give rows with --data, or a more capable chat model"
        )
    return seeds.placed(writer)


async def _writer(
    chat: Chat,
    kind: TaskKind,
    description: str,
    labels: Sequence[str],
    form: AnswerForm | None,
    *,
    run_id: str,
) -> SeedWriter:
    if kind is TaskKind.NER:
        types = labels or await _types(chat, description, run_id=run_id)
        return EntitySeeds(description, tuple(sorted(types)))
    if kind is TaskKind.GENERATION and not labels:
        return AnswerSeeds(description, form or AnswerForm())
    names = labels or await _labels(chat, description, run_id=run_id)
    return LabelSeeds(description, tuple(sorted(names)), kind)


async def _round(
    chat: Chat,
    writer: SeedWriter,
    seeds: Seeds,
    missing: dict[str, int],
    policy: SeedingPolicy,
    *,
    turn: int,
    run_id: str,
) -> Seeds:
    asked = [
        writer.question(
            sort,
            [row.text for row in seeds.rows[sort]],
            count=min(count, policy.at_once),
            turn=turn,
        )
        for sort, count in missing.items()
    ]
    answers = await chat.ask(asked, run_id=run_id)
    formed = {
        sort: well_formed(writer, sort, answer, seeds)
        for sort, answer in zip(missing, answers, strict=True)
    }
    written = {sort: rows for sort, (rows, _) in formed.items() if rows}
    readings = await chat.ask([writer.reading(rows) for rows in written.values()], run_id=run_id)
    read = dict(zip(written, readings, strict=True))
    for sort, (rows, refused) in formed.items():
        kept, unconfirmed = confirmed(writer, rows, read.get(sort))
        seeds = grown(seeds, sort, kept[: missing[sort]], (refused, unconfirmed))
    return seeds


async def _labels(chat: Chat, description: str, *, run_id: str) -> tuple[str, ...]:
    [answer] = await chat.ask([labels_question(description)], run_id=run_id)
    names = tuple(dict.fromkeys(one.name for one in answer.labels)) if answer else ()
    if len(names) < 2:
        raise BadInput(
            "the chat model named no two labels for the description: name them with --labels, or "
            "give rows with --data"
        )
    return names


async def _types(chat: Chat, description: str, *, run_id: str) -> tuple[str, ...]:
    [answer] = await chat.ask([types_question(description)], run_id=run_id)
    names = tuple(dict.fromkeys(one.name for one in answer.types)) if answer else ()
    if not names:
        raise BadInput(
            "the chat model named no type of entities for the description: name them with "
            "--labels, or give rows with --data"
        )
    return names
