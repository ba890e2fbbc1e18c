"""What the diagnoser does with each event."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.diagnoser.ingest import Ingest
from services.diagnoser.models import KnownModels, ModelView
from shared.errors import PermanentError, UnknownThing
from shared.events import (
    FeedbackGiven,
    ImprovementRequested,
    ModelPromoted,
    ModelRolledBack,
    RunClosed,
    TraceLogged,
    TraceReleased,
)
from shared.ports import Clock

_LOOK_AGAIN_S = 0.2


class DiagnoserHandlers:
    """Each method handles one event, or a batch of one kind, and may be called twice with it.

    ``patience_s``: how long a request may wait for the deployment that it overtook.
    """

    def __init__(
        self, ingest: Ingest, models: KnownModels, clock: Clock, *, patience_s: float = 10.0
    ) -> None:
        self._ingest = ingest
        self._models = models
        self._clock = clock
        self._looks = 1 + round(patience_s / _LOOK_AGAIN_S)

    async def on_traces(self, traces: Sequence[TraceLogged]) -> Mapping[int, PermanentError]:
        return await self._ingest.take_traces(traces, self._clock())

    async def on_feedback(self, feedback: Sequence[FeedbackGiven]) -> Mapping[int, PermanentError]:
        return await self._ingest.take_feedback(feedback, self._clock())

    async def on_trace_released(self, event: TraceReleased) -> None:
        await self._ingest.release(event, self._clock())

    async def on_deployed(self, event: ModelPromoted | ModelRolledBack) -> None:
        await self._models.heard(event.deployed, event.deployment, event.occurred_at)

    async def on_improvement_requested(self, event: ImprovementRequested) -> None:
        view = await self._known(event.model)
        await self._models.save(replace(view, requested=True))

    async def _known(self, model: str) -> ModelView:
        """Topics have no common order: a request may come before the registration it follows."""
        for look in range(self._looks):
            if look:
                await asyncio.sleep(_LOOK_AGAIN_S)
            if view := await self._models.get(model):
                return view
        raise UnknownThing(f"model {model!r} is not registered: register it first")

    async def on_run_closed(self, event: RunClosed) -> None:
        view = await self._models.get(event.model)
        if view and view.open and view.open.event_id == event.diagnosis_event:
            # Also after a declined run: only new failures are a reason to try again.
            await self._models.save(replace(view, open=None, diagnosed_until=view.open.as_of))
