"""What the verifier does with each event and with each finished job."""

import asyncio
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

from services.verifier.domain.evaluation import EvaluationSets, evaluate
from services.verifier.domain.gates import explain, judge
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import Limits, Unusable, Verdict
from shared.domain.ids import derive_id
from shared.domain.rows import EvalPart, EvalRow, load_rows
from shared.errors import BadInput
from shared.events import (
    Candidate,
    CandidatesTrained,
    CandidatesVerified,
    CandidateVerdict,
    StepFailed,
)
from shared.job_specs import EvaluateResult, EvaluateSpec, JobResult, ModelSpec
from shared.ports import ArtifactStore, Publisher
from shared.tasks import behaviour
from shared.watcher import Job, JobWatcher

logger = logging.getLogger(__name__)

DEPLOYED = "deployed"


class VerifierHandlers:
    """Has candidates evaluated beside the deployed model, and gives the gate's verdicts."""

    def __init__(self, publisher: Publisher, artifacts: ArtifactStore, limits: Limits) -> None:
        self._publisher = publisher
        self._artifacts = artifacts
        self._limits = limits

    async def on_candidates(self, event: CandidatesTrained, watcher: JobWatcher) -> None:
        models = [ModelSpec(id=DEPLOYED, adapter=event.deployed.version.adapter)]
        asked = (*event.candidates, *event.twins)
        models += [ModelSpec(id=c.id, adapter=c.adapter) for c in asked]
        spec = EvaluateSpec(
            models=tuple(models),
            sets=(event.evaluation_set, *event.deployed.earlier_evaluations),
        )
        job_id = derive_id("evaluate", event.run_id, event.iteration)
        await watcher.submit(
            Job(job_id, event.model, event.run_id, cause=event.model_dump_json(), spec=spec)
        )

    async def on_evaluated(self, job: Job, result: JobResult) -> None:
        if not isinstance(result, EvaluateResult):
            raise BadInput(f"job {job.id} gave a {result.kind} result, not predictions")
        event = CandidatesTrained.model_validate_json(job.cause)
        verdicts = await asyncio.to_thread(self._verdicts, event, result)
        for verdict in verdicts:
            logger.info("%s: %s", verdict.candidate.recipe.name, verdict.reason)
        await self._publisher.publish(
            CandidatesVerified(
                id=derive_id("verified", event.run_id, event.iteration),
                model=event.model,
                run_id=event.run_id,
                iteration=event.iteration,
                training_set=event.training_set,
                verdicts=verdicts,
                inference_seconds=result.inference_seconds,
                composition=event.composition,
                failed=event.failed,
            )
        )

    async def on_failed(self, job: Job, reason: str) -> None:
        event = CandidatesTrained.model_validate_json(job.cause)
        await self._publisher.publish(StepFailed.after(event, step="verify", reason=reason))

    def _verdicts(
        self, event: CandidatesTrained, result: EvaluateResult
    ) -> tuple[CandidateVerdict, ...]:
        outputs = _outputs(self._artifacts.get(result.predictions))
        sets = EvaluationSets(
            current=self._rows(event.evaluation_set),
            earlier={
                f"checkpoint {number}": self._rows(ref)
                for number, ref in enumerate(event.deployed.earlier_evaluations, 1)
            },
        )
        if reason := result.broken.get(DEPLOYED):
            raise BadInput(f"the deployed model cannot be evaluated, nothing to compare: {reason}")
        before = outputs.get(DEPLOYED)
        held = {row.id for row in sets.current if row.part is EvalPart.HELDOUT}
        twins = {twin.recipe.digest: twin for twin in event.twins}
        is_right = behaviour(event.deployed.task).is_right

        def verdict(candidate: Candidate) -> Verdict:
            twin = twins.get(candidate.recipe.digest)
            for model in (candidate, twin):
                if model and model.id in result.broken:
                    return Unusable(candidate.id, result.broken[model.id])
            if event.twins and twin is None:
                reason = "it learned the held-out failures, and no twin was measured without them"
                return Unusable(candidate.id, reason)
            answers, vouched = _answers(candidate, twin, held, outputs)
            report = evaluate(
                candidate.id,
                sets,
                answers,
                before,
                limits=self._limits,
                is_right=is_right,
            )
            return judge(replace(report, warnings=(*report.warnings, *vouched)), self._limits)

        return tuple(_told(candidate, verdict(candidate)) for candidate in event.candidates)

    def _rows(self, ref: ArtifactRef) -> list[EvalRow]:
        return load_rows(self._artifacts.get(ref), EvalRow)


def _answers(
    candidate: Candidate,
    twin: Candidate | None,
    held: Collection[str],
    outputs: Mapping[str, Mapping[str, str]],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What counts for a candidate; on held-out failures that it learned, only its twin's answers.

    And a sentence that says so.
    """
    own = dict(outputs.get(candidate.id, {}))
    if twin is None:
        return own, ()
    kept = {row: output for row, output in own.items() if row not in held}
    others = {row: out for row, out in outputs.get(twin.id, {}).items() if row in held}
    said = f"held-out failures were learned: their score is that of {twin.id}, which did not"
    return kept | others, (said,)


def _outputs(predictions: bytes) -> dict[str, dict[str, str]]:
    """Outputs by model and row id."""
    outputs: dict[str, dict[str, str]] = {}
    for line in predictions.splitlines():
        row = json.loads(line)
        outputs.setdefault(row["model"], {})[row["id"]] = row["output"]
    return outputs


def _told(candidate: Candidate, verdict: Verdict) -> CandidateVerdict:
    return CandidateVerdict(
        candidate=candidate,
        outcome=verdict.kind,
        reason=explain(verdict),
        report=None if isinstance(verdict, Unusable) else verdict.report,
    )
