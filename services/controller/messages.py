"""The controller's events, made from its states; every id is derived from its cause."""

from datetime import datetime

from services.controller.domain.refusal import Refusal
from services.controller.domain.registry import ModelRecord, deployed
from services.controller.domain.run import Run
from services.controller.domain.states import Ending, Iterating, NeverBegun
from shared.domain.ids import derive_id
from shared.events import IterationRequested, ModelPromoted, ModelRolledBack, RunClosed


def iteration_requested(run: Run, asked: Iterating) -> IterationRequested:
    return IterationRequested(
        id=derive_id("iteration", run.id, asked.iteration),
        model=run.model,
        run_id=run.id,
        iteration=asked.iteration,
        deployed=run.deployed,
        diagnosis=run.diagnosis,
        evaluation_set=run.evaluation_set,
        data=asked.data,
        recipes=asked.recipes,
        move=f"{asked.move.value}: {asked.reason}",
        twins=asked.twins,
    )


def model_promoted(record: ModelRecord, run_id: str | None) -> ModelPromoted:
    latest = record.deployments[-1]
    return ModelPromoted(
        id=derive_id("promoted", record.name, latest.number),
        model=record.name,
        deployed=deployed(record),
        deployment=latest.number,
        run_id=run_id,
        reason=latest.reason,
        occurred_at=latest.at,
    )


def model_rolled_back(record: ModelRecord) -> ModelRolledBack:
    latest = record.deployments[-1]
    return ModelRolledBack(
        id=derive_id("rolled-back", record.name, latest.number),
        model=record.name,
        deployed=deployed(record),
        deployment=latest.number,
        from_version=record.deployments[-2].version,
        reason=latest.reason,
        occurred_at=latest.at,
    )


def run_closed(run: Run, ended: Ending | NeverBegun, now: datetime) -> RunClosed:
    return RunClosed(
        id=derive_id("closed", run.id),
        model=run.model,
        run_id=run.id,
        diagnosis_event=run.diagnosis_event,
        outcome=ended.kind,
        reason=ended.reason,
        iterations=len(run.iterations),
        seconds=(now - run.started_at).total_seconds(),
    )


def task_refused(refusal: Refusal) -> RunClosed:
    """The end of a run that never began."""
    return RunClosed(
        id=derive_id("closed", refusal.run_id),
        model=refusal.model,
        run_id=refusal.run_id,
        diagnosis_event=refusal.submission,
        outcome=refusal.outcome,
        reason=refusal.reason,
        iterations=0,
        seconds=0.0,
    )
