"""From a submitted task to rows to learn and a locked set: a cold start (paper §2.5)."""

import asyncio
import json
import logging
from dataclasses import asdict, dataclass, field

from services.synthesizer.domain.exam import ExamSpec, HeldOut, check_exam, hold_out
from services.synthesizer.domain.families import base_of, decide_family
from services.synthesizer.domain.survey import target_from, word_baseline
from services.synthesizer.domain.task_data import check_rows, same_text, task_of
from services.synthesizer.inputs import ROWS
from services.synthesizer.ports import Catalogue, DataSet
from services.synthesizer.seeding import SeedingPolicy, write_seeds
from shared.chat.asking import Chat
from shared.chat.settings import refuse_unjudged
from shared.data_sets import check_labels
from shared.domain.answer_form import Scorer
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.row_files import PlacedRow, kind_of, read_rows
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Head, Task, TaskKind
from shared.errors import BadInput
from shared.events import TaskPrepared, TaskSubmitted
from shared.ports import ArtifactStore
from shared.tasks import behaviour

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Acquired:
    """Rows of a task and where they come from; ``test``: those its owner set apart."""

    task: Task
    base_model: str
    rows: tuple[PlacedRow, ...]
    test: tuple[PlacedRow, ...]
    source: str


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
        self._catalogue = catalogue
        self._policy = policy
        self._chat = chat

    async def prepare(self, event: TaskSubmitted) -> TaskPrepared:
        """What the run begins with. Raises BadInput: what is wrong, where, and the remedy."""
        acquired = await self._acquired(event)
        return await asyncio.to_thread(self._prepared, event, acquired)

    async def _acquired(self, event: TaskSubmitted) -> Acquired:
        if event.rows is not None and event.data_set is not None:
            raise BadInput(f"both a file and the data set {event.data_set!r} are given: give one")
        try:
            async with asyncio.timeout(self._policy.seconds):
                if event.rows is None and event.data_set is None:
                    return await self._written(event)
                return await asyncio.to_thread(self._found, event)
        except TimeoutError:
            raise BadInput(
                f"no rows within {self._policy.seconds:g} s: give them with --data, or raise "
                "PIONEER_WRITTEN_SECONDS"
            ) from None

    def _found(self, event: TaskSubmitted) -> Acquired:
        if event.data_set is not None:
            found, name, test_name = self._catalogue.load(event.data_set), event.data_set, "test"
        else:
            found, name = self._file(event.rows, event.test), _name(event.rows)
            test_name = _name(event.test)
        formed = kind_of(found.rows, name=name)
        kind = decide_family(event.description, asked=event.kind, rows=formed)
        tested = event.form is not None and event.form.scorer is Scorer.PASSES
        rows = read_rows(found.rows, formed, name=name, tested=tested)
        test = read_rows(found.test, formed, name=test_name, tested=tested)
        task = task_of([*rows, *test], kind, labels=event.labels, form=event.form)
        base = base_of(kind, event.base_model)
        return Acquired(task, base, rows, test, source=event.data_set or name)

    async def _written(self, event: TaskSubmitted) -> Acquired:
        kind = decide_family(event.description, asked=event.kind, rows=None)
        if self._chat is None:
            raise BadInput(
                f"there is nothing to learn {event.description[:80]!r} from: give rows with "
                "--data, or a chat model that writes some with PIONEER_LLM_BASE_URL and "
                "PIONEER_LLM_MODEL"
            )
        if kind is not TaskKind.CLASSIFICATION:
            raise BadInput(
                f"a chat model writes rows for {TaskKind.CLASSIFICATION.value} only, this is "
                f"{kind.value}: give rows with --data"
            )
        seeds = await write_seeds(
            self._chat, event.description, event.labels, self._policy.seeding, run_id=event.run_id
        )
        rows = seeds.placed()
        task, base = task_of(rows, kind, form=event.form), base_of(kind, event.base_model)
        return Acquired(task, base, rows, (), source="chat")

    def _prepared(self, event: TaskSubmitted, acquired: Acquired) -> TaskPrepared:
        task = acquired.task
        refuse_unjudged(task, chat=self._chat is not None)
        check_labels(task)
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
        target = event.target or target_from(baseline)
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
            target=target,
        )

    def _file(self, rows: ArtifactRef | None, test: ArtifactRef | None) -> DataSet:
        def read(ref: ArtifactRef | None) -> bytes:
            return self._artifacts.get(ref) if ref else b""

        return DataSet(read(rows), read(test))


def _name(ref: ArtifactRef | None) -> str:
    return ref.uri.rpartition("/")[2] if ref else "test"


def _plain(rows: tuple[PlacedRow, ...]) -> list[Row]:
    return [Row(row.id, row.text, row.target, row.rationale, row.place) for row in rows]


def _manifest(
    event: TaskSubmitted, acquired: Acquired, held: HeldOut, exam: ArtifactRef, target: float
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
        "target": target,
    }
    return json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True).encode()
