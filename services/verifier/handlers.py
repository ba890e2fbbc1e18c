"""What the verifier does with each event and with each finished job."""

import asyncio
import json
import logging
from dataclasses import replace

from services.verifier.answer_judge import AnswerJudge
from services.verifier.domain.evaluation import EvaluationSets
from services.verifier.domain.gates import explain
from services.verifier.domain.judge_prompt import given_answers
from services.verifier.predictions import read_grades, read_predictions
from services.verifier.trial import DEPLOYED, Trial
from shared.domain.answer_form import Scorer
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import Admitted, Limits, Unusable, Verdict
from shared.domain.ids import derive_id
from shared.domain.rows import EvalRow, load_rows
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

# Beside the weights; says how they are served.
_ADAPTER = "adapter.json"


class VerifierHandlers:
    """Has candidates evaluated beside the deployed model, and gives the gate's verdicts."""

    def __init__(
        self,
        publisher: Publisher,
        artifacts: ArtifactStore,
        limits: Limits,
        judge: AnswerJudge,
    ) -> None:
        self._publisher = publisher
        self._artifacts = artifacts
        self._limits = limits
        self._judge = judge

    async def on_candidates(self, event: CandidatesTrained, watcher: JobWatcher) -> None:
        models: list[ModelSpec] = []
        if event.deployed.trained:
            models.append(ModelSpec(id=DEPLOYED, adapter=event.deployed.version.adapter))
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
        sets, predictions = await asyncio.to_thread(self._read, event, result)
        said = read_predictions(predictions)
        trial = Trial(event, sets, said, result.broken, self._limits)
        trial = await self._graded(trial, predictions)
        verdicts = await asyncio.to_thread(self._verdicts, trial)
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
                composition=event.composition,
                failed=event.failed,
            )
        )

    async def on_failed(self, job: Job, reason: str) -> None:
        event = CandidatesTrained.model_validate_json(job.cause)
        await self._publisher.publish(StepFailed.after(event, step="verify", reason=reason))

    def _read(
        self, event: CandidatesTrained, result: EvaluateResult
    ) -> tuple[EvaluationSets, bytes]:
        """What was asked, and what was answered."""
        if reason := result.broken.get(DEPLOYED):
            raise BadInput(f"the deployed model cannot be evaluated, nothing to compare: {reason}")
        earlier = enumerate(event.deployed.earlier_evaluations, 1)
        sets = EvaluationSets(
            current=self._rows(event.evaluation_set),
            earlier={f"checkpoint {number}": self._rows(ref) for number, ref in earlier},
        )
        return sets, self._artifacts.get(result.predictions)

    async def _graded(self, trial: Trial, predictions: bytes) -> Trial:
        """The trial with what is right in it, where comparing does not tell."""
        task = trial.event.deployed.task
        if behaviour(task).compares:
            return trial
        if task.form is None or task.form.scorer is not Scorer.JUDGE:
            return replace(trial, grades=read_grades(predictions))
        answers = given_answers(trial.sets, [one.outputs for one in trial.said.values()])
        grades = await self._judge.grade(answers, task, run_id=trial.event.run_id)
        return trial.judged_by(grades, {one.row for one in answers if one.key not in grades})

    def _verdicts(self, trial: Trial) -> tuple[CandidateVerdict, ...]:
        return tuple(self._settled(candidate, verdict) for candidate, verdict in trial.verdicts())

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


def _told(candidate: Candidate, verdict: Verdict) -> CandidateVerdict:
    return CandidateVerdict(
        candidate=candidate,
        outcome=verdict.kind,
        reason=explain(verdict),
        report=None if isinstance(verdict, Unusable) else verdict.report,
    )
