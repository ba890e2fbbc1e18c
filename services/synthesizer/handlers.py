"""What the synthesizer does with an iteration: read, compose, enrich, store, publish."""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from services.synthesizer.chat import write_material
from services.synthesizer.domain.chat_material import WrittenMaterial
from services.synthesizer.domain.curriculum import Curriculum, compose
from services.synthesizer.domain.enrichment import enrich
from services.synthesizer.domain.entity_values import diversified
from services.synthesizer.domain.first_set import compose_first
from services.synthesizer.inputs import FirstInputs, Inputs, read_first, read_inputs
from shared.chat.asking import Chat
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.rows import Role, dump_rows
from shared.domain.tasks import Head
from shared.errors import DEFECTS, PermanentError
from shared.events import (
    Composition,
    IterationRequested,
    StepFailed,
    TrainingSetSynthesized,
)
from shared.ports import ArtifactStore, Publisher
from shared.tasks import TaskBehaviour, behaviour

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WritingPolicy:
    """How much a chat model may write: its labels are only its word.

    At most ``share`` of a training set, ``rows`` gold rows and as many hard ones for a pattern, and
    what is written within ``seconds``: a handler must not take long.
    """

    share: float = 0.1
    rows: int = 4
    seconds: float = 120.0

    def patterns(self, rows: int) -> int:
        """For how many patterns it may write, beside so many rows."""
        return int(self.share * rows / (2 * self.rows))


class SynthesizerHandlers:
    """Composes training sets; the same request gives the same bytes, hence the same artifact."""

    def __init__(
        self,
        publisher: Publisher,
        artifacts: ArtifactStore,
        *,
        chat: Chat | None = None,
        writing: WritingPolicy | None = None,
    ) -> None:
        self._publisher = publisher
        self._artifacts = artifacts
        self._chat = chat
        self._writing = writing or WritingPolicy()

    async def on_iteration(self, event: IterationRequested) -> None:
        try:
            curriculum = await self._compose(event)
        except (PermanentError, *DEFECTS) as error:
            logger.exception("no training set for iteration %d", event.iteration)
            await self._fail(event, f"{type(error).__name__}: {error}")
            return
        training_set = self._artifacts.put(dump_rows(curriculum.rows), name="training.jsonl")
        composition = _composition(curriculum, behaviour(event.deployed.task))
        manifest = _manifest(event, training_set, composition, curriculum)
        logger.info("training set %s: %s", training_set, composition)
        await self._publisher.publish(
            TrainingSetSynthesized(
                id=derive_id("synthesized", event.run_id, event.iteration),
                model=event.model,
                run_id=event.run_id,
                iteration=event.iteration,
                deployed=event.deployed,
                evaluation_set=event.evaluation_set,
                training_set=training_set,
                manifest=self._artifacts.put(manifest, name="manifest.json"),
                composition=composition,
                recipes=event.recipes,
                twins=event.twins,
            )
        )

    async def _compose(self, event: IterationRequested) -> Curriculum:
        if not event.deployed.trained:
            first = await asyncio.to_thread(read_first, self._artifacts, event)
            return await asyncio.to_thread(self._first, event, first)
        inputs = await asyncio.to_thread(read_inputs, self._artifacts, event)
        curriculum = await asyncio.to_thread(
            compose,
            inputs.failures,
            inputs.passes,
            inputs.vectors,
            inputs.parent,
            event.data,
            evaluation_texts=inputs.measured,
            parent=f"training set of version {event.deployed.version.number}",
            task=behaviour(event.deployed.task),
        )
        if not behaviour(event.deployed.task).answers_are_labels:
            # Each sign of a prompt counts, and a place in a text: such rows get no noisy twins.
            learned = await asyncio.to_thread(
                enrich,
                curriculum,
                inputs.made,
                {},
                event.data,
                evaluation_texts=inputs.measured,
                same=str.strip,
            )
            return await asyncio.to_thread(self._finished, event, inputs.measured, learned)
        written = await self._write(event, inputs, curriculum)
        refused = {f"written row: {reason}": count for reason, count in written.refused.items()}
        return await asyncio.to_thread(
            enrich,
            replace(curriculum, dropped={**curriculum.dropped, **refused}),
            [*inputs.made, *written.rows],
            inputs.noise,
            event.data,
            evaluation_texts=inputs.measured,
        )

    def _first(self, event: IterationRequested, inputs: FirstInputs) -> Curriculum:
        task = behaviour(event.deployed.task)
        curriculum = compose_first(
            inputs.rows, event.data, sort=task.sort, evaluation_texts=inputs.measured
        )
        return self._finished(event, inputs.measured, curriculum)

    def _finished(
        self, event: IterationRequested, measured: Sequence[str], curriculum: Curriculum
    ) -> Curriculum:
        """What is added where answers are no labels: another text has its entities elsewhere."""
        if behaviour(event.deployed.task).head is not Head.WORDS:
            return curriculum
        rows = diversified(curriculum.rows, evaluation_texts=measured)
        return replace(curriculum, rows=tuple(rows))

    async def _write(
        self, event: IterationRequested, inputs: Inputs, curriculum: Curriculum
    ) -> WrittenMaterial:
        patterns = inputs.teachable[: self._writing.patterns(len(curriculum.rows))]
        nothing = WrittenMaterial((), {})
        if self._chat is None or not patterns:
            return nothing
        known = (*inputs.failures, *inputs.passes, *inputs.parent, *inputs.made, *curriculum.rows)
        try:
            async with asyncio.timeout(self._writing.seconds):
                return await write_material(
                    self._chat,
                    patterns,
                    event.deployed.task,
                    run_id=event.run_id,
                    evaluation_texts=inputs.measured,
                    known_texts=[row.text for row in known],
                    gold=self._writing.rows,
                    hard=self._writing.rows,
                )
        except TimeoutError:
            logger.warning("nothing written within %g s", self._writing.seconds)
            return nothing

    async def _fail(self, event: IterationRequested, reason: str) -> None:
        failed = StepFailed.after(event, step="synthesize", reason=reason)
        await self._publisher.publish(failed)


def _composition(curriculum: Curriculum, task: TaskBehaviour) -> Composition:
    return Composition(
        rows=len(curriculum.rows),
        gold=curriculum.count(Role.GOLD),
        hard=curriculum.count(Role.HARD),
        replay=curriculum.count(Role.REPLAY),
        labels=len({task.sort(row.target) for row in curriculum.rows}),
        dropped=curriculum.dropped,
    )


def _manifest(
    event: IterationRequested,
    training_set: ArtifactRef,
    composition: Composition,
    curriculum: Curriculum,
) -> bytes:
    """What a person needs to see why the set is as it is; each row carries its own reason."""
    manifest = {
        "training_set": asdict(training_set),
        "diagnosis": asdict(event.diagnosis),
        "parent_training_set": str(event.deployed.version.training_set),
        "data": asdict(event.data),
        "composition": composition.model_dump(),
        "shortfall": {role.value: count for role, count in curriculum.shortfall.items()},
        "checks": asdict(curriculum.checks),
        "rows": [
            {"id": r.id, "role": r.role.value, "source": r.source, "reason": r.reason}
            for r in curriculum.rows
        ],
    }
    return json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode()
