"""A diagnosis from trigger to event: embed the traces, find what is wrong, probe, publish."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from pydantic import TypeAdapter

from services.diagnoser import diagnosis_files
from services.diagnoser.advised import AdvisedFindings
from services.diagnoser.domain.confirmation import error_rates
from services.diagnoser.domain.findings import Findings
from services.diagnoser.domain.traffic import Traffic
from services.diagnoser.domain.triggers import should_diagnose
from services.diagnoser.models import KnownModels, ModelView, OpenDiagnosis
from services.diagnoser.ports import TraceStore
from services.diagnoser.probing import Draft, Probing
from services.diagnoser.snapshots import Snapshot, Snapshots
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel
from shared.domain.rows import dump_rows
from shared.errors import BadInput, Conflict
from shared.events import FailuresDiagnosed
from shared.job_specs import EmbedResult, EmbedSpec, EvaluateResult, JobResult
from shared.logs import log_context
from shared.ports import ArtifactStore, Clock, Publisher
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


_SNAPSHOT = TypeAdapter(Snapshot)


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
        findings: AdvisedFindings,
        snapshots: Snapshots,
        probing: Probing,
        embedding_model: str | None,
    ) -> None:
        self._traces = traces
        self._models = models
        self._artifacts = artifacts
        self._publisher = publisher
        self._clock = clock
        self._triggers = triggers
        self._findings = findings
        self._snapshots = snapshots
        self._probing = probing
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
        snapshot, texts = await self._snapshots.take(opened, deployed)
        spec = EmbedSpec(
            base_model=self._embedding_model, adapter=deployed.version.adapter, texts=texts
        )
        cause = _SNAPSHOT.dump_json(snapshot).decode()
        await watcher.submit(Job(job_id, deployed.name, run_id=None, cause=cause, spec=spec))

    async def on_done(self, job: Job, result: JobResult, watcher: JobWatcher) -> None:
        """Turn embeddings into findings, and answers to probes into the event. Raises BadInput."""
        match result:
            case EmbedResult():
                await self._found(_SNAPSHOT.validate_json(job.cause), result, watcher)
            case EvaluateResult():
                await self._publish(await self._probing.answered(job, result))
            case _:
                raise BadInput(f"job {job.id} gave a {result.kind} result, which nobody asked for")

    async def _found(self, snapshot: Snapshot, embedded: EmbedResult, watcher: JobWatcher) -> None:
        deployed = snapshot.deployed
        traffic = await asyncio.to_thread(self._snapshots.traffic, snapshot, embedded)
        findings = await self._findings.diagnose(
            traffic,
            deployed.task,
            measured=await asyncio.to_thread(self._snapshots.earlier_texts, snapshot),
            run_id=derive_id("run", snapshot.event_id),
        )
        await self._traces.record_triage(
            findings.triaged.verdicts,
            model=deployed.name,
            diagnosis_id=snapshot.diagnosis_id,
            now=self._clock(),
        )
        event = await asyncio.to_thread(self._event, snapshot, findings, embedded)
        usual = _usual_errors(traffic, findings, snapshot)
        draft = Draft(snapshot, embedded, event, usual)
        finished = await self._probing.ask(draft, findings.probes, watcher)
        if finished is not None:
            await self._publish(finished)

    async def _publish(self, event: FailuresDiagnosed) -> None:
        view = await self._models.get(event.model)
        if view and view.open and view.open.event_id == event.id:
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

    async def on_failed(self, job: Job, reason: str, watcher: JobWatcher) -> None:
        """Go on with less where that is possible, else give the diagnosis up.

        Without the deployed model's answers there are still embeddings, and patterns untested.
        """
        if job.spec.kind == "evaluate":
            await self._publish(await self._probing.unanswered(job, reason))
            return
        snapshot = _SNAPSHOT.validate_json(job.cause)
        if isinstance(job.spec, EmbedSpec) and job.spec.adapter:
            logger.error("diagnosis goes on without the deployed model: %s", reason)
            base = self._embedding_model or snapshot.deployed.version.base_model
            less = EmbedSpec(base_model=base, texts=job.spec.texts)
            await watcher.submit(replace(job, id=derive_id("embed-base", job.id), spec=less))
            return
        logger.error("diagnosis %s given up: %s", snapshot.diagnosis_id, reason)
        view = await self._models.get(job.model)
        if view and view.open and view.open.id == snapshot.diagnosis_id:
            await self._models.save(replace(view, open=None, diagnosed_until=view.open.as_of))

    def _event(
        self, snapshot: Snapshot, findings: Findings, embedded: EmbedResult
    ) -> FailuresDiagnosed:
        rows = findings.evaluation_rows(passing=snapshot.passing)
        return FailuresDiagnosed(
            id=snapshot.event_id,
            model=snapshot.deployed.name,
            deployed_version=snapshot.deployed.version.number,
            diagnosis=diagnosis_files.write(self._artifacts, findings),
            evaluation_set=self._artifacts.put(dump_rows(rows), name="evaluation.jsonl"),
            failures=findings.failures,
            repair=len(findings.repair),
            heldout=len(findings.heldout),
            regression=len(findings.regression),
            quarantined=findings.quarantined,
            material=findings.material,
            patterns=diagnosis_files.summaries(findings.patterns, {}),
            remedies=findings.remedies,
            inference_seconds=embedded.inference_seconds,
        )


def _usual_errors(traffic: Traffic, findings: Findings, snapshot: Snapshot) -> dict[str, float]:
    named = traffic.named()
    return error_rates(
        findings.triaged.learnable(named.failures),
        findings.triaged.learnable(named.passes),
        each_pass_is=snapshot.passing / max(len(traffic.passes), 1),
    )
