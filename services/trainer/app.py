"""Composition root of the trainer: settings → adapters → FastStream app."""

from collections.abc import Sequence
from datetime import timedelta

from faststream.asgi import AsgiFastStream

from services.trainer.handlers import TrainerHandlers
from services.trainer.settings import TrainerSettings
from shared.adapters.kafka import subscribe
from shared.events import RunClosed, TrainingSetSynthesized
from shared.parts import Parts, RealParts, utc_now
from shared.ports import Clock
from shared.service import Loop
from shared.watcher import JobPolicy, JobWatcher

NAME = "trainer"


def create_app(settings: TrainerSettings) -> AsgiFastStream:
    """The service over the real parts."""
    parts = RealParts.connect(settings, service=NAME)
    return parts.app(wire(settings, parts, utc_now))


def wire(settings: TrainerSettings, parts: Parts, clock: Clock) -> Sequence[Loop]:
    """Connect handlers to topics; returns the loops the service must run."""
    handlers = TrainerHandlers(parts.publisher)
    watcher = JobWatcher(
        service=NAME,
        documents=parts.documents,
        compute=parts.compute,
        clock=clock,
        on_success=handlers.on_trained,
        on_failure=handlers.on_failed,
        on_progress=handlers.on_progress,
        policy=JobPolicy(settings.job_attempts, timedelta(minutes=settings.job_minutes)),
    )

    async def on_training_set(event: TrainingSetSynthesized) -> None:
        await handlers.on_training_set(event, watcher)

    subscribe(parts.broker, settings, TrainingSetSynthesized, on_training_set, service=NAME)

    async def on_closed(event: RunClosed) -> None:
        await watcher.cancel_run(event.run_id)

    subscribe(parts.broker, settings, RunClosed, on_closed, service=NAME)
    return [Loop("jobs", watcher.step, settings.poll_seconds)]
