"""Probes on the deployed model: asked where it answers over HTTP, else of its adapter on Ray."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pydantic import TypeAdapter

from services.diagnoser import diagnosis_files
from services.diagnoser.domain.probes import Probe
from services.diagnoser.ports import ModelEndpoint
from services.diagnoser.snapshots import Snapshot, Snapshots
from shared.domain.ids import derive_id
from shared.errors import BadInput, TransientError
from shared.events import FailuresDiagnosed
from shared.job_specs import EmbedResult, EvaluateResult, EvaluateSpec, ModelSpec
from shared.ports import ArtifactStore
from shared.watcher import Job, JobWatcher

logger = logging.getLogger(__name__)

_DEPLOYED = "deployed"


@dataclass(frozen=True, slots=True)
class Draft:
    """A diagnosis whose probes the deployed model has yet to answer.

    ``usual_errors``: the share of each label's traffic that fails.
    """

    snapshot: Snapshot
    embedded: EmbedResult
    event: FailuresDiagnosed
    usual_errors: Mapping[str, float]


_DRAFT = TypeAdapter(Draft)


class Probing:
    """Gets probes answered, and finishes diagnoses with the answers."""

    def __init__(
        self,
        artifacts: ArtifactStore,
        snapshots: Snapshots,
        endpoint: Callable[[str], ModelEndpoint],
        *,
        epsilon: int,
    ) -> None:
        self._artifacts = artifacts
        self._snapshots = snapshots
        self._endpoint = endpoint
        self._epsilon = epsilon

    async def ask(
        self, draft: Draft, probes: Sequence[Probe], watcher: JobWatcher
    ) -> FailuresDiagnosed | None:
        """The finished event where it needs no job, else None: one is submitted."""
        answers = await self._over_http(draft, probes) if probes else {}
        if answers is not None:
            return await self.finish(draft, answers)
        asked = diagnosis_files.put_probes(self._artifacts, probes)
        deployed = draft.snapshot.deployed
        model = ModelSpec(id=_DEPLOYED, adapter=deployed.version.adapter)
        await watcher.submit(
            Job(
                derive_id("probe", draft.snapshot.diagnosis_id),
                deployed.name,
                run_id=None,
                cause=_DRAFT.dump_json(draft).decode(),
                spec=EvaluateSpec(models=(model,), sets=(asked,)),
            )
        )
        return None

    async def answered(self, job: Job, result: EvaluateResult) -> FailuresDiagnosed:
        """The event of the diagnosis whose probes this job asked."""
        draft = _DRAFT.validate_json(job.cause)
        seconds = draft.event.inference_seconds + result.inference_seconds
        event = draft.event.model_copy(update={"inference_seconds": seconds})
        answers = await asyncio.to_thread(self._outputs, result)
        return await self.finish(replace(draft, event=event), answers)

    async def unanswered(self, job: Job, reason: str) -> FailuresDiagnosed:
        """The event when the job failed: its patterns stay untested."""
        draft = _DRAFT.validate_json(job.cause)
        logger.error("probes of diagnosis %s not answered: %s", draft.snapshot.diagnosis_id, reason)
        return await self.finish(draft, {})

    async def finish(self, draft: Draft, answers: Mapping[str, str]) -> FailuresDiagnosed:
        """The event with what the answers, by probe id, say of its patterns."""
        return await asyncio.to_thread(
            diagnosis_files.finish,
            self._artifacts,
            draft.event,
            answers,
            usual_errors=draft.usual_errors,
            epsilon=self._epsilon,
            traffic=partial(self._snapshots.traffic, draft.snapshot, draft.embedded),
        )

    async def _over_http(self, draft: Draft, probes: Sequence[Probe]) -> Mapping[str, str] | None:
        """The deployed model's answers by probe id; None when its adapter must give them."""
        deployed = draft.snapshot.deployed
        if deployed.endpoint is None:
            return None
        texts = {probe.id: probe.text for probe in probes}
        try:
            endpoint = self._endpoint(deployed.endpoint)
            return await endpoint.outputs(texts, version=deployed.version.number)
        except (TransientError, BadInput) as error:
            logger.warning("its adapter answers the probes instead: %s", error)
            return None

    def _outputs(self, result: EvaluateResult) -> dict[str, str]:
        """Answers by probe id; no answer when the model could not be loaded."""
        lines = self._artifacts.get(result.predictions).splitlines()
        return {row["id"]: row["output"] for row in map(json.loads, lines)}
