"""The parts of the server, the tasks that keep them going, and what an answer is made of."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from examples.serving.batching import Batcher, NotReady
from examples.serving.bodies import Asked, check_answer
from examples.serving.deployments import DeploymentFeed
from examples.serving.model import Load, ModelSwitch, Prediction, Rejected, Served
from examples.serving.settings import ServingSettings, kafka_client
from examples.serving.traces import TraceEmitter
from shared.events import TraceLogged


class Server:
    """Follows deployments, answers with the newest, and logs every answer as a trace."""

    def __init__(self, settings: ServingSettings, load: Load) -> None:
        client = kafka_client(settings)
        self.settings = settings
        self.switch = ModelSwitch(load)
        self.batcher = Batcher(
            lambda: self.switch.current,
            max_batch=settings.max_batch,
            max_waiting=settings.max_waiting,
            wait_seconds=settings.batch_wait_ms / 1000,
        )
        self.traces = TraceEmitter(client, max_queued=settings.max_queued_traces)
        self.feed = DeploymentFeed(client, settings.model, self.switch.offer)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run all parts; on the way out send the traces still queued."""
        parts = {
            "deployments": self.feed.run,
            "model": self.switch.run,
            "batches": self.batcher.run,
            "traces": self.traces.run,
        }
        self._tasks = {name: asyncio.create_task(run()) for name, run in parts.items()}
        try:
            yield
        finally:
            await self.traces.flush(self.settings.flush_seconds)
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def classify(self, texts: Sequence[Asked], *, log: bool = True) -> list[dict[str, Any]]:
        """An answer for each text, all by one model. Raises NotReady, Refused, PredictionFailed."""
        served = self.switch.current
        if served is None:
            raise NotReady(self.why_not_ready() or "the model is being loaded")
        for one in texts:
            check_answer("reference", one.reference, served.task, one.text)
        answer = await self.batcher.predict([one.text for one in texts])
        for one, prediction in zip(texts, answer.predictions, strict=True) if log else ():
            self.traces.emit(self._trace(one, prediction, answer.served))
        return [
            {
                "trace_id": one.trace_id,
                "output": prediction.output,
                "confidence": prediction.confidence,
                "model_version": answer.served.version,
            }
            for one, prediction in zip(texts, answer.predictions, strict=True)
        ]

    def _trace(self, one: Asked, prediction: Prediction, served: Served) -> TraceLogged:
        return TraceLogged(
            id=one.trace_id,
            model=self.settings.model,
            model_version=served.version,
            input=one.text,
            output=prediction.output,
            confidence=prediction.confidence,
            reference=one.reference,
            occurred_at=datetime.now(UTC),
            metadata={"deployment": str(served.deployment)},
        )

    def why_not_ready(self) -> str | None:
        """A sentence while no model can answer, else None."""
        name = self.settings.model
        if self.switch.current:
            return None
        if not self.feed.caught_up:
            return f"the deployments of model {name!r} are still being read from Kafka"
        if self.switch.problem:
            return self.switch.problem
        if rejected := self.switch.rejected:
            return f"no version of model {name!r} can be loaded: {rejected.reason}"
        return f"no version of model {name!r} is loaded yet: register it, or wait for its download"

    def ended_task(self) -> str | None:
        """The name of a part that has ended, which only a defect can cause."""
        return next((name for name, task in self._tasks.items() if task.done()), None)

    def describe(self) -> dict[str, Any]:
        """What is served since when, what was rejected and why, and the counters."""
        return {
            "model": self.settings.model,
            **_describe_served(self.switch.current),
            "rejected": _describe_rejected(self.switch.rejected),
            "problem": self.why_not_ready() or self.switch.problem,
            "answered": self.batcher.answered,
            "batches": self.batcher.batches,
            "traces_sent": self.traces.sent,
            "traces_dropped": self.traces.dropped,
            "traces_waiting": self.traces.waiting,
        }


def _describe_served(served: Served | None) -> dict[str, Any]:
    if served is None:
        return dict.fromkeys(("version", "deployment", "adapter", "base_model", "since", "reason"))
    version = served.event.deployed.version
    return {
        "version": version.number,
        "deployment": served.deployment,
        "adapter": version.adapter.sha256,
        "base_model": version.base_model,
        "since": served.since.isoformat(),
        "reason": served.event.reason,
    }


def _describe_rejected(rejected: Rejected | None) -> dict[str, Any] | None:
    if rejected is None:
        return None
    version = rejected.event.deployed.version
    return {
        "version": version.number,
        "deployment": rejected.event.deployment,
        "adapter": version.adapter.sha256,
        "reason": rejected.reason,
        "at": rejected.at.isoformat(),
    }
