"""What one diagnosis looks at, frozen when it was triggered, so that a restart sees the same."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydantic import TypeAdapter

from services.diagnoser.domain.traffic import Traffic
from services.diagnoser.models import OpenDiagnosis
from services.diagnoser.ports import TraceStore
from shared.domain.artifacts import ArtifactRef
from shared.domain.lineage import DeployedModel
from shared.domain.rows import EvalRow, Row, dump_rows, guarded, load_rows
from shared.domain.traces import JudgedTrace
from shared.job_specs import EmbedResult
from shared.learned import learned_rows
from shared.ports import ArtifactStore
from shared.tasks import behaviour

logger = logging.getLogger(__name__)

_TRACES = TypeAdapter(list[JudgedTrace])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """References to the judged traces of one version; ``passing`` counts all that passed."""

    diagnosis_id: str
    deployed: DeployedModel
    failures: ArtifactRef
    passes: ArtifactRef
    passing: int
    event_id: str


class Snapshots:
    """Takes snapshots, and reads them again."""

    def __init__(
        self, traces: TraceStore, artifacts: ArtifactStore, *, max_failures: int, max_passes: int
    ) -> None:
        self._traces = traces
        self._artifacts = artifacts
        self._max_failures = max_failures
        self._max_passes = max_passes

    async def take(
        self, opened: OpenDiagnosis, deployed: DeployedModel
    ) -> tuple[Snapshot, ArtifactRef]:
        """The snapshot, and the texts to embed: failures, passes, then the parent's rows."""
        name, version = deployed.name, deployed.version.number
        found = await self._traces.failures(name, version, self._max_failures)
        failures = _learnable(found, deployed)
        found = await self._traces.passes(name, version, self._max_passes)
        passes = _learnable(found, deployed)
        passing = max(len(passes), await self._traces.count_passes(name, version))
        logger.info("diagnosis of %d failures and %d passes begins", len(failures), len(passes))
        rows = [Row(t.id, t.text, t.corrected) for t in (*failures, *passes)]
        rows += self._trusted(deployed)
        snapshot = Snapshot(
            diagnosis_id=opened.id,
            deployed=deployed,
            failures=self._put(failures, "failures.json"),
            passes=self._put(passes, "passes.json"),
            passing=passing,
            event_id=opened.event_id,
        )
        texts = await asyncio.to_thread(self._artifacts.put, dump_rows(rows), name="texts.jsonl")
        return snapshot, texts

    def traffic(self, snapshot: Snapshot, embedded: EmbedResult) -> Traffic:
        """The rows of a snapshot with what the model made of them."""
        probabilities = embedded.probabilities
        return Traffic(
            labels=snapshot.deployed.task.labels,
            failures=_TRACES.validate_json(self._artifacts.get(snapshot.failures)),
            passes=_TRACES.validate_json(self._artifacts.get(snapshot.passes)),
            trusted=self._trusted(snapshot.deployed),
            vectors=self._matrix(embedded.embeddings),
            probabilities=self._matrix(probabilities) if probabilities else None,
            behaviour=behaviour(snapshot.deployed.task),
        )

    def earlier_texts(self, snapshot: Snapshot) -> list[str]:
        """What the gate asked of every checkpoint so far and nothing may be trained on."""
        return [
            row.text
            for ref in snapshot.deployed.earlier_evaluations
            for row in guarded(load_rows(self._artifacts.get(ref), EvalRow))
        ]

    def _trusted(self, deployed: DeployedModel) -> list[Row]:
        return learned_rows(self._artifacts, deployed)

    def _matrix(self, ref: ArtifactRef) -> np.ndarray:
        # Never unpickle: the file came from outside this process.
        return np.load(BytesIO(self._artifacts.get(ref)), allow_pickle=False).astype(np.float32)

    def _put(self, traces: list[JudgedTrace], name: str) -> ArtifactRef:
        return self._artifacts.put(_TRACES.dump_json(traces), name=name)


def _learnable(traces: Sequence[JudgedTrace], deployed: DeployedModel) -> list[JudgedTrace]:
    """Traces by id whose right answer the model can give at all.

    Traces may have come before the model was known, and a fallback answer may have been praised.
    """
    objection = behaviour(deployed.task).objection
    kept = [t for t in traces if objection(t.corrected, deployed.task, t.text) is None]
    if len(kept) < len(traces):
        logger.warning("%d traces have answers outside the task", len(traces) - len(kept))
    return sorted(kept, key=lambda trace: trace.id)
