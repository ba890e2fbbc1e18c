"""What the synthesizer does with an iteration: read, compose, check, store, publish."""

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from io import BytesIO

import numpy as np
from pydantic import TypeAdapter

from services.synthesizer.domain.curriculum import Curriculum, compose
from services.synthesizer.domain.enrichment import enrich
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.rows import EvalRow, FailureRow, Role, Row, TrainingRow, dump_rows, load_rows
from shared.domain.triage import Family
from shared.errors import DEFECTS, BadInput, PermanentError
from shared.events import Composition, IterationRequested, StepFailed, TrainingSetSynthesized
from shared.ports import ArtifactStore, Publisher

logger = logging.getLogger(__name__)

_NOISE = TypeAdapter(dict[Family, float])


class SynthesizerHandlers:
    """Composes training sets; the same request gives the same bytes, hence the same artifact."""

    def __init__(self, publisher: Publisher, artifacts: ArtifactStore) -> None:
        self._publisher = publisher
        self._artifacts = artifacts

    async def on_iteration(self, event: IterationRequested) -> None:
        try:
            curriculum = await asyncio.to_thread(self._compose, event)
        except (PermanentError, *DEFECTS) as error:
            logger.exception("no training set for iteration %d", event.iteration)
            await self._fail(event, f"{type(error).__name__}: {error}")
            return
        training_set = self._artifacts.put(dump_rows(curriculum.rows), name="training.jsonl")
        composition = _composition(curriculum)
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
            )
        )

    def _compose(self, event: IterationRequested) -> Curriculum:
        files = self._artifacts.get_folder(event.diagnosis)
        try:
            failures = load_rows(files["repair.jsonl"], FailureRow)
            passes = load_rows(files["passes.jsonl"], Row)
            # Never unpickle: the file came from outside this process.
            vectors = np.load(BytesIO(files["embeddings.npy"]), allow_pickle=False)
        except KeyError as missing:
            raise BadInput(f"diagnosis {event.diagnosis} has no file {missing}") from None
        parent = event.deployed.version.training_set
        parent_rows = load_rows(self._artifacts.get(parent), Row) if parent else []
        measured = list(self._evaluation_texts(event))
        curriculum = compose(
            failures,
            passes,
            vectors,
            parent_rows,
            event.data,
            evaluation_texts=measured,
            parent=f"training set of version {event.deployed.version.number}",
        )
        made = load_rows(files.get("made.jsonl", b""), TrainingRow)
        noise = _NOISE.validate_json(files.get("noise.json", b"{}"))
        return enrich(curriculum, made, noise, event.data, evaluation_texts=measured)

    def _evaluation_texts(self, event: IterationRequested) -> Iterable[str]:
        """Whatever a gate of this run will ask must not be trained on."""
        for ref in (event.evaluation_set, *event.deployed.earlier_evaluations):
            for row in load_rows(self._artifacts.get(ref), EvalRow):
                yield row.text

    async def _fail(self, event: IterationRequested, reason: str) -> None:
        failed = StepFailed.after(event, step="synthesize", reason=reason)
        await self._publisher.publish(failed)


def _composition(curriculum: Curriculum) -> Composition:
    return Composition(
        rows=len(curriculum.rows),
        gold=curriculum.count(Role.GOLD),
        hard=curriculum.count(Role.HARD),
        replay=curriculum.count(Role.REPLAY),
        labels=len({row.target for row in curriculum.rows}),
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
