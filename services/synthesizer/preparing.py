"""From a submitted task to rows to learn and a locked set: a cold start (paper §2.5)."""

import asyncio
import json
import logging
from dataclasses import asdict, dataclass, field

from services.synthesizer.acquiring import Acquired, Acquiring
from services.synthesizer.domain.exam import ExamSpec, HeldOut, check_exam, hold_out
from services.synthesizer.domain.survey import (
    Target,
    check_measures,
    target_of,
    word_baseline,
)
from services.synthesizer.domain.task_data import check_rows, same_text
from services.synthesizer.inputs import ROWS
from services.synthesizer.ports import Catalogue
from services.synthesizer.seeding import SeedingPolicy
from shared.chat.asking import Chat
from shared.chat.settings import refuse_unjudged
from shared.data_sets import check_labels
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.row_files import PlacedRow
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Head
from shared.events import TaskPrepared, TaskSubmitted
from shared.ports import ArtifactStore
from shared.tasks import behaviour

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PreparingPolicy:
    """How E is drawn and seeds are written; ``seconds``: the longest that rows are waited for."""

    exam: ExamSpec = field(default_factory=ExamSpec)
    seeding: SeedingPolicy = field(default_factory=SeedingPolicy)
    seconds: float = 120.0


class Preparing:
    """Acquires rows, checks them, and builds E before anything is learned."""

    def __init__(
        self,
        artifacts: ArtifactStore,
        catalogue: Catalogue,
        policy: PreparingPolicy,
        *,
        chat: Chat | None = None,
    ) -> None:
        self._artifacts = artifacts
        self._acquiring = Acquiring(artifacts, catalogue, policy.seeding, policy.seconds, chat=chat)
        self._policy = policy
        self._chat = chat

    async def prepare(self, event: TaskSubmitted) -> TaskPrepared:
        """What the run begins with. Raises BadInput: what is wrong, where, and the remedy."""
        acquired = await self._acquiring.acquire(event)
        return await asyncio.to_thread(self._prepared, event, acquired)

    def _prepared(self, event: TaskSubmitted, acquired: Acquired) -> TaskPrepared:
        task = acquired.task
        refuse_unjudged(task, chat=self._chat is not None)
        check_labels(task)
        check_measures(acquired.survey, task)
        check_rows(acquired.rows, acquired.test, task)
        held = hold_out(
            _plain(acquired.rows),
            sort=behaviour(task).sort,
            spec=self._policy.exam,
            test=_plain(acquired.test),
            same=same_text(task),
        )
        check_exam(held.exam)
        # Types of entities name no answer, and free answers have no names.
        named = bool(task.labels) and behaviour(task).head is not Head.WORDS
        label = behaviour(task).sort if named else None
        baseline = word_baseline(held.material, held.exam, label=label)
        target = target_of(baseline, asked=event.target, survey=acquired.survey)
        exam = self._artifacts.put(dump_rows(held.exam), name="evaluation.jsonl")
        material = self._artifacts.put_folder(
            {
                ROWS: dump_rows(held.material),
                "task.json": _manifest(event, acquired, held, exam, target),
            },
            name="task",
        )
        logger.info("%d rows to learn, %s to be asked: %s", len(held.material), held.parts, exam)
        return TaskPrepared(
            id=derive_id("prepared", event.id),
            model=event.model,
            run_id=event.run_id,
            submission=event.id,
            description=event.description,
            task=task,
            base_model=acquired.base_model,
            material=material,
            evaluation_set=exam,
            rows=len(held.material),
            parts=held.parts,
            source=acquired.source,
            baseline=round(baseline, 4),
            target=target.share,
            target_from=target.origin,
            dropped=held.dropped,
        )


def _plain(rows: tuple[PlacedRow, ...]) -> list[Row]:
    return [Row(row.id, row.text, row.target, row.rationale, row.place) for row in rows]


def _manifest(
    event: TaskSubmitted, acquired: Acquired, held: HeldOut, exam: ArtifactRef, target: Target
) -> bytes:
    """What a person needs to see why the sets are as they are."""
    told = {
        "description": event.description,
        "task": asdict(acquired.task),
        "source": acquired.source,
        "rows": len(held.material),
        "evaluation_set": asdict(exam),
        "parts": held.parts,
        "dropped": held.dropped,
        "target": target.share,
        "target_from": target.origin,
        "survey": [one.model_dump(mode="json") for one in acquired.survey],
    }
    return json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True).encode()
