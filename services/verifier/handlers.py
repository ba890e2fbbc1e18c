"""What the verifier does with each event and with each finished job."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping

from services.verifier.domain.evaluation import EvaluationSets, evaluate
from services.verifier.domain.gates import explain, judge
from services.verifier.domain.threshold import Judge, Seen, best_threshold, outputs_at
from shared.domain.artifacts import ArtifactRef
from shared.domain.entities import Entity, SeenEntity
from shared.domain.evaluation import Admitted, Limits, Regressed, Unusable, Verdict
from shared.domain.ids import derive_id
from shared.domain.rows import EvalRow, load_rows
from shared.domain.tasks import Head
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
# Beside the weights; says how they are served.
_ADAPTER = "adapter.json"


class VerifierHandlers:
    """Has candidates evaluated beside the deployed model, and gives the gate's verdicts."""

    def __init__(self, publisher: Publisher, artifacts: ArtifactStore, limits: Limits) -> None:
        self._publisher = publisher
        self._artifacts = artifacts
        self._limits = limits

    async def on_candidates(self, event: CandidatesTrained, watcher: JobWatcher) -> None:
        models = [ModelSpec(id=DEPLOYED, adapter=event.deployed.version.adapter)]
        models += [ModelSpec(id=c.id, adapter=c.adapter) for c in event.candidates]
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
            logger.info("%s: %s", verdict.candidate.name, verdict.reason)
        await self._publisher.publish(
            CandidatesVerified(
                id=derive_id("verified", event.run_id, event.iteration),
                model=event.model,
                run_id=event.run_id,
                iteration=event.iteration,
                training_set=event.training_set,
                verdicts=verdicts,
                inference_seconds=result.inference_seconds,
            )
        )

    async def on_failed(self, job: Job, reason: str) -> None:
        event = CandidatesTrained.model_validate_json(job.cause)
        await self._publisher.publish(StepFailed.after(event, step="verify", reason=reason))

    def _verdicts(
        self, event: CandidatesTrained, result: EvaluateResult
    ) -> tuple[CandidateVerdict, ...]:
        outputs, seen = _read(self._artifacts.get(result.predictions))
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
        is_right = behaviour(event.deployed.task).is_right

        def judged(candidate: str, answers: Mapping[str, str]) -> Verdict:
            limits = self._limits
            report = evaluate(candidate, sets, answers, before, limits=limits, is_right=is_right)
            return judge(report, limits)

        def verdict(candidate: Candidate) -> CandidateVerdict:
            if candidate.id in result.broken:
                return _told(candidate, Unusable(candidate.id, result.broken[candidate.id]))
            return self._settled(candidate, judged(candidate.id, outputs.get(candidate.id, {})))

        candidates = event.candidates
        if behaviour(event.deployed.task).head is Head.WORDS:
            candidates = _swept(event, sets, outputs, seen, is_right=is_right, judged=judged)
        return tuple(verdict(candidate) for candidate in candidates)

    def _settled(self, candidate: Candidate, verdict: Verdict) -> CandidateVerdict:
        """The verdict; a candidate that may be served is stored with its threshold."""
        if isinstance(verdict, Admitted) and (candidate.threshold or candidate.calibrated):
            files = self._artifacts.get_folder(candidate.adapter)
            described = json.loads(files[_ADAPTER]) | {"threshold": candidate.threshold}
            files[_ADAPTER] = json.dumps(described, indent=1).encode()
            stored = self._artifacts.put_folder(files, name=candidate.id)
            candidate = candidate.model_copy(update={"adapter": stored})
        return _told(candidate, verdict)

    def _rows(self, ref: ArtifactRef) -> list[EvalRow]:
        return load_rows(self._artifacts.get(ref), EvalRow)


Outputs = dict[str, dict[str, str]]


def _read(predictions: bytes) -> tuple[Outputs, dict[str, Seen]]:
    """Outputs, and entities that were seen, by model and row id."""
    outputs: Outputs = {}
    seen: dict[str, dict[str, list[SeenEntity]]] = {}
    for line in predictions.splitlines():
        row = json.loads(line)
        outputs.setdefault(row["model"], {})[row["id"]] = row["output"]
        seen.setdefault(row["model"], {})[row["id"]] = [
            SeenEntity(Entity(one["start"], one["end"], one["type"]), one["probability"])
            for one in row.get("seen", ())
        ]
    return outputs, dict[str, Seen](seen)


def _swept(
    event: CandidatesTrained,
    sets: EvaluationSets,
    outputs: Outputs,
    seen: Mapping[str, Seen],
    *,
    is_right: Judge,
    judged: Callable[[str, Mapping[str, str]], Verdict],
) -> tuple[Candidate, ...]:
    """Each candidate at its best threshold, its outputs too, and the deployed model at its own.

    The deployed model is a candidate where another threshold changes what it says.
    """
    rows = [*sets.current, *(row for earlier in sets.earlier.values() for row in earlier)]

    def at_best(candidate: Candidate, by: str) -> Candidate:
        def keeps(threshold: float) -> bool:
            said = outputs_at(seen[by], rows, threshold)
            return not isinstance(judged(candidate.id, said), Regressed)

        threshold = best_threshold(seen[by], sets.current, is_right=is_right, keeps=keeps)
        outputs[candidate.id] = outputs_at(seen[by], rows, threshold)
        return candidate.model_copy(update={"threshold": threshold})

    swept = [at_best(c, c.id) if c.id in seen else c for c in event.candidates]
    if DEPLOYED not in seen or not swept:
        return tuple(swept)
    deployed = swept[0].model_copy(
        update={
            "id": derive_id("calibrated", event.run_id, event.iteration),
            "adapter": event.deployed.version.adapter,
            "train_seconds": 0.0,
            "calibrated": True,
        }
    )
    calibrated = at_best(deployed, DEPLOYED)
    same = all(is_right(outputs[calibrated.id][r.id], outputs[DEPLOYED][r.id]) for r in rows)
    return tuple(swept) if same else (*swept, calibrated)


def _told(candidate: Candidate, verdict: Verdict) -> CandidateVerdict:
    return CandidateVerdict(
        candidate=candidate,
        outcome=verdict.kind,
        reason=explain(verdict),
        report=None if isinstance(verdict, Unusable) else verdict.report,
    )
