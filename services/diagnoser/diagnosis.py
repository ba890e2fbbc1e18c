"""A diagnosis from trigger to event: snapshot the failures, embed them on Ray, publish patterns."""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from io import BytesIO

import numpy as np
from pydantic import TypeAdapter

from services.diagnoser.domain.splits import regression_set, split_failures, training_pool
from services.diagnoser.domain.taxonomy import find_patterns
from services.diagnoser.domain.triggers import should_diagnose
from services.diagnoser.models import KnownModels, ModelView, OpenDiagnosis
from services.diagnoser.ports import TraceStore
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel
from shared.domain.patterns import ErrorPattern
from shared.domain.rows import EvalPart, EvalRow, FailureRow, Row, dump_rows
from shared.domain.traces import JudgedTrace
from shared.errors import BadInput, Conflict
from shared.events import FailuresDiagnosed, PatternSummary
from shared.job_specs import EmbedResult, EmbedSpec, JobResult
from shared.logs import log_context
from shared.ports import ArtifactStore, Clock, Publisher
from shared.tasks import behaviour
from shared.watcher import Job, JobWatcher

logger = logging.getLogger(__name__)

# A run that goes on is not disturbed by it: the controller knows the diagnosis by its id.
ASK_AGAIN_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TriggerPolicy:
    """When new failures are worth a diagnosis."""

    min_failures: int = 50
    quiet_seconds: float = 30.0
    pressing_failures: int = 500


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How failures become a repair part, a held-out part and a regression set."""

    heldout_share: float = 0.35
    regression_share: float = 0.5
    max_failures: int = 100_000
    max_passes: int = 5_000
    seed: int = 17


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one diagnosis looks at, frozen when it was triggered."""

    diagnosis_id: str
    deployed: DeployedModel
    failures: ArtifactRef
    passes: ArtifactRef
    event_id: str


_SNAPSHOT = TypeAdapter(Snapshot)
_TRACES = TypeAdapter(list[JudgedTrace])


class Diagnosis:
    """Starts diagnoses when failures suffice, and publishes what they found."""

    def __init__(
        self,
        *,
        traces: TraceStore,
        models: KnownModels,
        artifacts: ArtifactStore,
        publisher: Publisher,
        clock: Clock,
        triggers: TriggerPolicy,
        splits: SplitPolicy,
        embedding_model: str,
    ) -> None:
        self._traces = traces
        self._models = models
        self._artifacts = artifacts
        self._publisher = publisher
        self._clock = clock
        self._triggers = triggers
        self._splits = splits
        self._embedding_model = embedding_model

    async def start_due(self, watcher: JobWatcher) -> None:
        """Start a diagnosis for every model that has enough new failures and none open."""
        for view in await self._models.all():
            with log_context(model=view.deployed.name):
                try:
                    await self._start_if_due(view, watcher)
                except Conflict:
                    logger.info("the model changed meanwhile, looking again later")

    async def _start_if_due(self, view: ModelView, watcher: JobWatcher) -> None:
        if view.open is None and await self._due(view):
            now = self._clock()
            number = str(view.version)
            opened = OpenDiagnosis(derive_id("diagnosis", view.deployed.name, number), as_of=now)
            view = replace(view, open=opened, requested=False)
            await self._models.save(view)
            view = replace(view, version=view.version + 1)
        if view.open is not None:
            # Also after a restart between these two steps: the job's id makes it one job.
            await self._ensure_job(view.open, view.deployed, watcher)
            await self._ask_again(view, view.open)

    async def _due(self, view: ModelView) -> bool:
        deployed = view.deployed
        since = None if view.requested else view.diagnosed_until
        count = await self._traces.count_failures(deployed.name, deployed.version.number, since)
        if count.newest is None:
            if view.requested:
                logger.warning("improvement requested, but there is no failure to learn from")
                await self._models.save(replace(view, requested=False))
            return False
        return view.requested or should_diagnose(
            count.new,
            (self._clock() - count.newest).total_seconds(),
            min_failures=self._triggers.min_failures,
            quiet_s=self._triggers.quiet_seconds,
            max_failures=self._triggers.pressing_failures,
        )

    async def _ensure_job(
        self, opened: OpenDiagnosis, deployed: DeployedModel, watcher: JobWatcher
    ) -> None:
        job_id = derive_id("embed", opened.id)
        if await watcher.knows(job_id):
            return
        version = deployed.version.number
        failures = await self._traces.failures(deployed.name, version, self._splits.max_failures)
        passes = await self._traces.passes(deployed.name, version, self._splits.max_passes)
        failures = _learnable(failures, deployed)
        passes = _learnable(passes, deployed)
        rows = [Row(t.id, t.text, t.corrected) for t in (*failures, *passes)]
        texts = await asyncio.to_thread(self._artifacts.put, dump_rows(rows), name="texts.jsonl")
        snapshot = Snapshot(
            diagnosis_id=opened.id,
            deployed=deployed,
            failures=self._put_traces(failures, "failures.json"),
            passes=self._put_traces(passes, "passes.json"),
            event_id=opened.event_id,
        )
        spec = EmbedSpec(base_model=self._embedding_model, texts=texts)
        cause = _SNAPSHOT.dump_json(snapshot).decode()
        await watcher.submit(Job(job_id, deployed.name, run_id=None, cause=cause, spec=spec))
        logger.info("diagnosis of %d failures and %d passes began", len(failures), len(passes))

    async def publish(self, job: Job, result: JobResult) -> None:
        """Turn embeddings into patterns and splits, store them, publish. Raises BadInput."""
        if not isinstance(result, EmbedResult):
            raise BadInput(f"job {job.id} gave a {result.kind} result, not embeddings")
        snapshot = _SNAPSHOT.validate_json(job.cause)
        event = await asyncio.to_thread(self._diagnose, snapshot, result)
        view = await self._models.get(job.model)
        if view and view.open and view.open.id == snapshot.diagnosis_id:
            await self._models.save(replace(view, open=self._asked(view.open, event)))
        await self._publisher.publish(event)
        logger.info("%d patterns in %d failures", len(event.patterns), event.failures)

    async def _ask_again(self, view: ModelView, opened: OpenDiagnosis) -> None:
        """Publish a diagnosis again whose run was never heard to end: so is its answer."""
        silent_since = opened.asked_at
        if opened.event and silent_since and self._clock() - silent_since > ASK_AGAIN_AFTER:
            event = FailuresDiagnosed.model_validate_json(opened.event)
            await self._models.save(replace(view, open=self._asked(opened, event)))
            await self._publisher.publish(event)

    def _asked(self, opened: OpenDiagnosis, event: FailuresDiagnosed) -> OpenDiagnosis:
        return replace(opened, event=event.model_dump_json(), asked_at=self._clock())

    async def give_up(self, job: Job, reason: str) -> None:
        """A diagnosis that cannot be made ends; new failures will start another."""
        snapshot = _SNAPSHOT.validate_json(job.cause)
        logger.error("diagnosis %s given up: %s", snapshot.diagnosis_id, reason)
        view = await self._models.get(job.model)
        if view and view.open and view.open.id == snapshot.diagnosis_id:
            await self._models.save(replace(view, open=None, diagnosed_until=view.open.as_of))

    def _diagnose(self, snapshot: Snapshot, result: EmbedResult) -> FailuresDiagnosed:
        failures = _TRACES.validate_json(self._artifacts.get(snapshot.failures))
        passes = _TRACES.validate_json(self._artifacts.get(snapshot.passes))
        vectors = _load_matrix(self._artifacts.get(result.embeddings))
        place = {t.id: i for i, t in enumerate((*failures, *passes))}
        patterns = find_patterns(failures, vectors[: len(failures)])
        repair, heldout = split_failures(
            failures, heldout_share=self._splits.heldout_share, seed=self._splits.seed
        )
        if not repair or not heldout:
            raise BadInput(
                f"{len(failures)} failures cannot be split into a repair and a held-out part: "
                "they are near-duplicates of each other, collect more"
            )
        regression = regression_set(
            passes,
            repair,
            heldout_size=len(heldout),
            share=self._splits.regression_share,
            seed=self._splits.seed,
        )
        pool = training_pool(passes, [t.text for t in (*heldout, *regression)])
        kept = vectors[[place[t.id] for t in (*repair, *pool)]]
        diagnosis = self._artifacts.put_folder(
            _diagnosis_files(patterns, repair, pool, kept), name="diagnosis"
        )
        rows = [_eval_row(t, EvalPart.HELDOUT) for t in heldout]
        rows += [_eval_row(t, EvalPart.REGRESSION) for t in regression]
        return FailuresDiagnosed(
            id=snapshot.event_id,
            model=snapshot.deployed.name,
            deployed_version=snapshot.deployed.version.number,
            diagnosis=diagnosis,
            evaluation_set=self._artifacts.put(dump_rows(rows), name="evaluation.jsonl"),
            failures=len(failures),
            repair=len(repair),
            heldout=len(heldout),
            regression=len(regression),
            patterns=tuple(
                PatternSummary(name=p.name, size=p.size, share=p.share) for p in patterns
            ),
            inference_seconds=result.inference_seconds,
        )

    def _put_traces(self, traces: list[JudgedTrace], name: str) -> ArtifactRef:
        return self._artifacts.put(_TRACES.dump_json(traces), name=name)


def _diagnosis_files(
    patterns: tuple[ErrorPattern, ...],
    repair: list[JudgedTrace],
    pool: list[JudgedTrace],
    vectors: np.ndarray,
) -> dict[str, bytes]:
    pattern_of = {member: p.id for p in patterns for member in p.members}
    matrix = BytesIO()
    np.save(matrix, vectors.astype(np.float32))
    return {
        "patterns.json": json.dumps([asdict(p) for p in patterns], ensure_ascii=False).encode(),
        "repair.jsonl": dump_rows(
            FailureRow(t.id, t.text, t.corrected, t.output, pattern_of[t.id]) for t in repair
        ),
        "passes.jsonl": dump_rows(Row(t.id, t.text, t.corrected) for t in pool),
        "embeddings.npy": matrix.getvalue(),
    }


def _eval_row(trace: JudgedTrace, part: EvalPart) -> EvalRow:
    return EvalRow(
        trace.id, trace.text, trace.corrected, part, right_before=part is EvalPart.REGRESSION
    )


def _load_matrix(data: bytes) -> np.ndarray:
    # Never unpickle: the file came from outside this process.
    return np.load(BytesIO(data), allow_pickle=False)


def _learnable(traces: Sequence[JudgedTrace], deployed: DeployedModel) -> list[JudgedTrace]:
    """Traces by id whose right answer the model can give at all.

    Traces may have come before the model was known, and a fallback answer may have been praised.
    """
    objection = behaviour(deployed.task).objection
    kept = [t for t in traces if objection(t.corrected, deployed.task) is None]
    if len(kept) < len(traces):
        logger.warning("%d traces have answers outside the task", len(traces) - len(kept))
    return sorted(kept, key=lambda trace: trace.id)
