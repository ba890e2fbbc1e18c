"""What the trainer does with each event and with each finished job."""

import logging

from services.trainer.domain.plan import plan_training, training_job_id
from shared.domain.ids import derive_id
from shared.errors import BadInput, PermanentError
from shared.events import (
    Candidate,
    CandidatesTrained,
    StepFailed,
    TrainingProgressed,
    TrainingSetSynthesized,
)
from shared.job_specs import CandidateProgress, CandidateSpec, JobResult, TrainResult, TrainSpec
from shared.ports import Publisher
from shared.watcher import Job, JobWatcher

logger = logging.getLogger(__name__)


class TrainerHandlers:
    """Records trainings and reports how they went; nothing long runs here."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._reported: dict[str, int] = {}

    async def on_training_set(self, event: TrainingSetSynthesized, watcher: JobWatcher) -> None:
        try:
            spec = plan_training(event)
        except PermanentError as error:
            await self._fail(event, str(error))
            return
        job_id = training_job_id(event.run_id, event.iteration)
        await watcher.submit(
            Job(job_id, event.model, event.run_id, cause=event.model_dump_json(), spec=spec)
        )

    async def on_progress(self, job: Job, progress: tuple[CandidateProgress, ...]) -> None:
        event = _cause(job)
        names = {c.id: c.recipe.name for c in _candidates(job)}
        for at in progress:
            if self._reported.get(at.candidate, -1) >= at.step:
                continue
            self._reported[at.candidate] = at.step
            await self._publisher.publish(
                TrainingProgressed(
                    id=derive_id("progress", at.candidate, at.step),
                    model=event.model,
                    run_id=event.run_id,
                    iteration=event.iteration,
                    candidate=at.candidate,
                    recipe=names.get(at.candidate, at.candidate),
                    step=at.step,
                    steps=at.steps,
                    loss=at.loss,
                )
            )

    async def on_trained(self, job: Job, result: JobResult) -> None:
        if not isinstance(result, TrainResult):
            raise BadInput(f"job {job.id} gave a {result.kind} result, not trained candidates")
        event = _cause(job)
        failed = {f.id: f"{f.recipe.name}: {f.reason}" for f in result.failed}
        if not result.trained:
            await self._fail(event, "no candidate could be trained: " + "; ".join(failed.values()))
            return
        for warning in dict.fromkeys(t.warning for t in result.trained if t.warning):
            logger.warning("iteration %d: %s", event.iteration, warning)
        await self._publisher.publish(
            CandidatesTrained(
                id=derive_id("trained", event.run_id, event.iteration),
                model=event.model,
                run_id=event.run_id,
                iteration=event.iteration,
                deployed=event.deployed,
                evaluation_set=event.evaluation_set,
                training_set=event.training_set,
                candidates=tuple(
                    Candidate(
                        id=t.id,
                        recipe=t.recipe,
                        adapter=t.adapter,
                        train_seconds=t.train_seconds,
                    )
                    for t in result.trained
                ),
                failed=failed,
                composition=event.composition,
                twins=event.twins,
            )
        )
        for trained in result.trained:
            self._reported.pop(trained.id, None)

    async def on_failed(self, job: Job, reason: str) -> None:
        await self._fail(_cause(job), reason)

    async def _fail(self, event: TrainingSetSynthesized, reason: str) -> None:
        failed = StepFailed.after(event, step="train", reason=reason)
        await self._publisher.publish(failed)


def _cause(job: Job) -> TrainingSetSynthesized:
    return TrainingSetSynthesized.model_validate_json(job.cause)


def _candidates(job: Job) -> tuple[CandidateSpec, ...]:
    return job.spec.candidates if isinstance(job.spec, TrainSpec) else ()
