"""Micro-batching: texts that arrive while the model is busy are predicted together."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from examples.serving.model import Prediction, Served
from shared.errors import PermanentError, TransientError

logger = logging.getLogger(__name__)


class NotReady(TransientError):
    """No model is loaded yet, or too many requests wait for it."""


class PredictionFailed(PermanentError):
    """The model raised an error on this input."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Predictions and the one deployment that made them all."""

    served: Served
    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class _Request:
    texts: Sequence[str]
    answer: "asyncio.Future[Answer]" = field(default_factory=asyncio.Future[Answer])


class Batcher:
    """Predicts in one worker thread, so the event loop stays free.

    A request is never split: all its texts are answered by the same model.
    """

    def __init__(
        self,
        current: Callable[[], Served | None],
        *,
        max_batch: int,
        max_waiting: int,
        wait_seconds: float,
    ) -> None:
        self._current = current
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._wait_seconds = wait_seconds
        self._requests: deque[_Request] = deque()
        self._waiting = 0
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "predict")
        self.batches = 0
        self.answered = 0

    async def predict(self, texts: Sequence[str]) -> Answer:
        """Wait for the answer. Raises NotReady or PredictionFailed."""
        if self._current() is None:
            raise NotReady("no model is loaded yet")
        if self._waiting + len(texts) > self._max_waiting:
            raise NotReady(f"{self._waiting} texts wait for the model already: try again later")
        request = _Request(texts)
        self._requests.append(request)
        self._waiting += len(texts)
        self._arrived.set()
        return await request.answer

    async def run(self) -> None:
        """Answer requests until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                if self._waiting < self._max_batch and self._wait_seconds:
                    await asyncio.sleep(self._wait_seconds)
                if batch := self._take():
                    await self._answer(batch)
        finally:
            self._thread.shutdown(wait=False)
            for request in self._requests:
                request.answer.cancel()

    def _take(self) -> list[_Request]:
        batch: list[_Request] = []
        texts = 0
        while self._requests:
            size = len(self._requests[0].texts)
            if batch and texts + size > self._max_batch:
                break
            request = self._requests.popleft()
            self._waiting -= size
            if not request.answer.done():
                batch.append(request)
                texts += size
        if not self._requests:
            self._arrived.clear()
        return batch

    async def _answer(self, batch: list[_Request]) -> None:
        served = self._current()
        assert served, "a model that is loaded is only ever replaced"
        texts = [text for request in batch for text in request.texts]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, served.predictor.predict, texts)
            if len(found) != len(texts):
                raise PredictionFailed(f"{len(found)} predictions for {len(texts)} texts")
        except Exception as error:
            logger.exception("version %d failed on %d texts", served.version, len(texts))
            await self._failed(batch, error)
            return
        self.batches += 1
        self.answered += len(texts)
        remaining = iter(found)
        for request in batch:
            own = [next(remaining) for _ in request.texts]
            if not request.answer.done():
                request.answer.set_result(Answer(served, own))

    async def _failed(self, batch: list[_Request], error: Exception) -> None:
        """One bad text must not cost the others their answers."""
        if len(batch) > 1:
            for request in batch:
                await self._answer([request])
        elif not batch[0].answer.done():
            batch[0].answer.set_exception(
                PredictionFailed(f"the model failed on this input: {type(error).__name__}")
            )
