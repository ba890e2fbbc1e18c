"""The loop's topics as a stream of events, with the seconds each stage took."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer

from examples.demo.report import Stopwatch
from shared.events import (
    EVENTS,
    CandidatesTrained,
    CandidatesVerified,
    Event,
    FailuresDiagnosed,
    FeedbackGiven,
    IterationRequested,
    RunClosed,
    TraceLogged,
    TrainingSetSynthesized,
)

FOLLOWED = {e.topic: e for e in EVENTS if e not in (TraceLogged, FeedbackGiven)}
# The stage that ends with each event.
ENDS: dict[type[Event], str] = {
    FailuresDiagnosed: "diagnose",
    IterationRequested: "decide",
    TrainingSetSynthesized: "synthesize",
    CandidatesTrained: "train",
    CandidatesVerified: "verify",
    RunClosed: "promote",
}


class Follower:
    """Reads every event of the loop from the beginning, as any ops consumer could."""

    def __init__(self, consumer: Any, stopwatch: Stopwatch) -> None:
        self._consumer = consumer
        self._stopwatch = stopwatch
        self.mark = monotonic()

    async def events(self) -> AsyncIterator[Event]:
        async for record in self._consumer:
            event = FOLLOWED[record.topic].model_validate_json(record.value or b"")
            if stage := ENDS.get(type(event)):
                now = monotonic()
                self._stopwatch.add(stage, now - self.mark)
                self.mark = now
            self._count_models(event)
            yield event

    def _count_models(self, event: Event) -> None:
        match event:
            case FailuresDiagnosed():
                self._stopwatch.inference += event.inference_seconds
            case CandidatesVerified():
                self._stopwatch.inference += event.inference_seconds
            case CandidatesTrained():
                # They train side by side: the slowest one is what the run waits for.
                self._stopwatch.training += max(c.train_seconds for c in event.candidates)
            case _:
                pass


@asynccontextmanager
async def following(bootstrap: str, stopwatch: Stopwatch) -> AsyncIterator[Follower]:
    """A consumer without a group: it sees everything and disturbs nobody."""
    consumer = AIOKafkaConsumer(
        *FOLLOWED, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        yield Follower(consumer, stopwatch)
    finally:
        await consumer.stop()
