"""What the controller does with each event: decode → decide → store with outbox → publish."""

import asyncio
import logging
from functools import partial
from typing import Literal

from services.controller.domain import registry
from services.controller.domain.refusal import Refusal
from services.controller.domain.registry import ModelRecord
from services.controller.ledger import Ledger
from services.controller.messages import model_promoted, model_rolled_back, task_refused
from services.controller.registration import check_registration
from services.controller.runs import Runs
from shared.errors import UnknownThing
from shared.events import (
    CandidatesVerified,
    FailuresDiagnosed,
    ModelRegistered,
    RollbackRequested,
    StepFailed,
    TaskPrepared,
    TaskRefused,
)
from shared.ports import ArtifactStore, Clock

logger = logging.getLogger(__name__)


class ControllerHandlers:
    """Each method handles one event and may be called twice with it."""

    def __init__(
        self,
        runs: Runs,
        models: Ledger[ModelRecord],
        refusals: Ledger[Refusal],
        artifacts: ArtifactStore,
        clock: Clock,
        *,
        chat: bool = False,
    ) -> None:
        self._runs = runs
        self._models = models
        self._refusals = refusals
        self._artifacts = artifacts
        self._clock = clock
        self._chat = chat

    async def on_model_registered(self, event: ModelRegistered) -> None:
        entry = await self._models.get(event.model)
        if entry is None:
            check = partial(check_registration, self._artifacts, event, chat=self._chat)
            await asyncio.to_thread(check)
            record = registry.register(None, event, self._clock())
            if await self._models.create(event.model, record, [model_promoted(record, None)]):
                return
        else:
            registry.register(entry.state, event, self._clock())
        # A repeat changes nothing, but what it caused may not have been published yet.
        await self._models.flush(event.model)

    async def on_rollback_requested(self, event: RollbackRequested) -> None:
        entry = await self._models.get(event.model)
        if entry is None:
            raise UnknownThing(f"model {event.model!r} is not registered: nothing to roll back")
        record = registry.roll_back(
            entry.state, event.to_version, cause=event.id, reason=event.reason, now=self._clock()
        )
        if record is entry.state:
            await self._models.flush(event.model)
            return
        logger.warning("rolled back to version %d", record.deployments[-1].version)
        await self._models.change(entry, record, [model_rolled_back(record)])

    async def on_task_prepared(self, event: TaskPrepared) -> None:
        if await self._refusals.get(event.run_id):
            # A name that has become free since does not undo what was told.
            await self._refusals.flush(event.run_id)
            return
        reason = await self._runs.begin_first(event)
        if reason is not None:
            await self._refuse(event, "declined", reason)

    async def on_task_refused(self, event: TaskRefused) -> None:
        # A submission that comes twice may find its data changed; a run has one beginning and end.
        if not await self._runs.repeat(event.run_id):
            await self._refuse(event, "failed", event.reason)

    async def on_failures_diagnosed(self, event: FailuresDiagnosed) -> None:
        await self._runs.begin(event)

    async def on_candidates_verified(self, event: CandidatesVerified) -> None:
        await self._runs.verified(event)

    async def on_step_failed(self, event: StepFailed) -> None:
        await self._runs.step_failed(event)

    async def _refuse(
        self,
        event: TaskPrepared | TaskRefused,
        outcome: Literal["failed", "declined"],
        reason: str,
    ) -> None:
        logger.warning("run %s never begins: %s", event.run_id, reason)
        refusal = Refusal(
            event.run_id, event.model, event.submission, outcome, reason, self._clock()
        )
        if not await self._refusals.create(event.run_id, refusal, [task_refused(refusal)]):
            await self._refusals.flush(event.run_id)
