"""The model being served, and how a newer one takes its place between two batches."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from examples.serving.deployments import Deployment
from shared.domain.artifacts import ArtifactRef
from shared.domain.tasks import Task
from shared.errors import PermanentError, TransientError

logger = logging.getLogger(__name__)

_RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)


class Prediction(Protocol):
    """One answer of a model."""

    @property
    def output(self) -> str: ...
    @property
    def confidence(self) -> float: ...


class Predictor(Protocol):
    """A loaded model; called from one thread at a time."""

    def predict(self, texts: Sequence[str], /) -> Sequence[Prediction]:
        """One prediction for each text, in order."""
        ...


# Loads an adapter, every byte checked. Raises PermanentError when it is broken.
Load = Callable[[ArtifactRef], Predictor]


@dataclass(frozen=True, slots=True)
class Served:
    """A deployment with its model in memory, whole and tried."""

    event: Deployment
    predictor: Predictor
    since: datetime

    @property
    def deployment(self) -> int:
        return self.event.deployment

    @property
    def version(self) -> int:
        return self.event.deployed.version.number

    @property
    def task(self) -> Task:
        return self.event.deployed.task


@dataclass(frozen=True, slots=True)
class Rejected:
    """A deployment that cannot be served, and why."""

    event: Deployment
    reason: str
    at: datetime


class ModelSwitch:
    """Serves the newest deployment that loads; never one older than it served before.

    ``current`` is replaced in one assignment after the new model has answered a first text: who
    took the old reference finishes with the old model.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._offered: dict[int, Deployment] = {}
        self._rejected: dict[int, Rejected] = {}
        self._news = asyncio.Event()
        self.current: Served | None = None
        self.problem: str | None = None
        """Why loading does not go on, while it is being tried again."""

    @property
    def rejected(self) -> Rejected | None:
        """The newest deployment that should be served and cannot be."""
        return self._rejected[max(self._rejected)] if self._rejected else None

    def offer(self, deployments: Sequence[Deployment]) -> None:
        """Take notice of deployments, in any order; what is older than the current is ignored."""
        for event in deployments:
            if event.deployment > self._number and event.deployment not in self._rejected:
                self._offered[event.deployment] = event
        if self._offered:
            self._news.set()

    async def run(self) -> None:
        """Load what is offered, newest first, until cancelled."""
        failures = 0
        while True:
            await self._news.wait()
            self._news.clear()
            while self._offered and await self._step(self._offered[max(self._offered)]):
                failures = 0
            if self._offered:
                await self._pause(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1

    @property
    def _number(self) -> int:
        return self.current.deployment if self.current else 0

    async def _step(self, event: Deployment) -> bool:
        """Serve or reject one deployment; False when that must be tried again later."""
        try:
            predictor = await asyncio.to_thread(self._loaded, event.deployed.version.adapter)
        except TransientError as error:
            self.problem = f"deployment {event.deployment} cannot be loaded yet: {error}"
            logger.warning("%s", self.problem)
            return False
        except PermanentError as error:
            self._reject(event, str(error))
            return True
        except Exception as error:
            # Foreign bytes in foreign libraries: whatever they raise, the old model serves on.
            logger.exception("unexpected error while loading deployment %d", event.deployment)
            self._reject(event, f"{type(error).__name__}: {error}")
            return True
        self._swap(Served(event, predictor, datetime.now(UTC)))
        return True

    def _loaded(self, adapter: ArtifactRef) -> Predictor:
        predictor = self._load(adapter)
        predictor.predict(["A first text, so that no request pays for the warm-up."])
        return predictor

    def _swap(self, served: Served) -> None:
        before, self.current, self.problem = self.current, served, None
        number = served.deployment
        self._offered = {n: e for n, e in self._offered.items() if n > number}
        self._rejected = {n: r for n, r in self._rejected.items() if n > number}
        logger.info(
            "serving version %d (deployment %d), before: version %s",
            served.version,
            number,
            before.version if before else None,
        )

    def _reject(self, event: Deployment, reason: str) -> None:
        self._offered.pop(event.deployment, None)
        self._rejected[event.deployment] = Rejected(event, reason, datetime.now(UTC))
        self.problem = None
        logger.error(
            "deployment %d (version %d) rejected, still serving version %s: %s",
            event.deployment,
            event.deployed.version.number,
            self.current.version if self.current else None,
            reason,
        )

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            self._news.set()
