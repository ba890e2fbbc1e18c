"""Rows of a submitted task: from its files, from a data set by name, or written by a chat model."""

import asyncio
from dataclasses import dataclass

from services.synthesizer.domain.families import base_of, decide_family
from services.synthesizer.domain.task_data import task_of
from services.synthesizer.ports import Catalogue, DataSet
from services.synthesizer.seeding import SeedingPolicy, write_seeds
from shared.chat.asking import Chat
from shared.domain.answer_form import Scorer
from shared.domain.artifacts import ArtifactRef
from shared.domain.row_files import PlacedRow, kind_of, read_rows
from shared.domain.survey import Surveyed
from shared.domain.tasks import Task
from shared.errors import BadInput
from shared.events import TaskSubmitted
from shared.ports import ArtifactStore


@dataclass(frozen=True, slots=True)
class Acquired:
    """Rows of a task and where they come from; ``test``: those its owner set apart.

    ``survey``: what others reached on it, where that is known.
    """

    task: Task
    base_model: str
    rows: tuple[PlacedRow, ...]
    test: tuple[PlacedRow, ...]
    source: str
    survey: tuple[Surveyed, ...] = ()


class Acquiring:
    """Finds the rows of a task, or has them written; ``seconds``: the longest it waits for them."""

    def __init__(
        self,
        artifacts: ArtifactStore,
        catalogue: Catalogue,
        seeding: SeedingPolicy,
        seconds: float,
        *,
        chat: Chat | None = None,
    ) -> None:
        self._artifacts = artifacts
        self._catalogue = catalogue
        self._seeding = seeding
        self._seconds = seconds
        self._chat = chat

    async def acquire(self, event: TaskSubmitted) -> Acquired:
        """The rows. Raises BadInput: what is wrong, where, and the remedy."""
        if event.rows is not None and event.data_set is not None:
            raise BadInput(f"both a file and the data set {event.data_set!r} are given: give one")
        try:
            async with asyncio.timeout(self._seconds):
                if event.rows is None and event.data_set is None:
                    return await self._written(event)
                return await asyncio.to_thread(self._found, event)
        except TimeoutError:
            raise BadInput(
                f"no rows within {self._seconds:g} s: give them with --data, or raise "
                "PIONEER_WRITTEN_SECONDS"
            ) from None

    def _found(self, event: TaskSubmitted) -> Acquired:
        if event.data_set is not None:
            found, name, test_name = self._catalogue.load(event.data_set), event.data_set, "test"
        else:
            found, name = self._file(event.rows, event.test), _name(event.rows)
            test_name = _name(event.test)
        said = found.task
        form = event.form or (said.form if said else None)
        labels = event.labels or (said.labels if said else ())
        formed = kind_of(found.rows, name=name)
        kind = decide_family(event.description, asked=event.kind, rows=formed)
        tested = form is not None and form.scorer is Scorer.PASSES
        rows = read_rows(found.rows, formed, name=name, tested=tested)
        test = read_rows(found.test, formed, name=test_name, tested=tested)
        task = task_of([*rows, *test], kind, labels=labels, form=form)
        base, survey = base_of(kind, event.base_model), event.survey or found.survey
        return Acquired(task, base, rows, test, source=event.data_set or name, survey=survey)

    async def _written(self, event: TaskSubmitted) -> Acquired:
        kind = decide_family(event.description, asked=event.kind, rows=None)
        if self._chat is None:
            raise BadInput(
                f"there is nothing to learn {event.description[:80]!r} from: give rows with "
                "--data, or a chat model that writes some with PIONEER_LLM_BASE_URL and "
                "PIONEER_LLM_MODEL"
            )
        base = base_of(kind, event.base_model)
        rows = await write_seeds(
            self._chat,
            kind,
            event.description,
            self._seeding,
            labels=event.labels,
            form=event.form,
            run_id=event.run_id,
        )
        task = task_of(rows, kind, labels=event.labels, form=event.form)
        return Acquired(task, base, rows, (), source="chat", survey=event.survey)

    def _file(self, rows: ArtifactRef | None, test: ArtifactRef | None) -> DataSet:
        def read(ref: ArtifactRef | None) -> bytes:
            return self._artifacts.get(ref) if ref else b""

        return DataSet(read(rows), read(test))


def _name(ref: ArtifactRef | None) -> str:
    return ref.uri.rpartition("/")[2] if ref else "test"
