"""The loop's topics as a stream of events, with the seconds each stage took."""

from collections.abc import AsyncIterator
from time import monotonic

from examples.demo.report import Stopwatch
from shared.adapters.kafka_reader import TopicReader
from shared.events import (
    CandidatesTrained,
    CandidatesVerified,
    Event,
    FailuresDiagnosed,
    IterationRequested,
    RunClosed,
    TrainingSetSynthesized,
)

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

    def __init__(self, reader: TopicReader, stopwatch: Stopwatch) -> None:
        self._reader = reader
        self._stopwatch = stopwatch
        self.mark = monotonic()

    async def events(self) -> AsyncIterator[Event]:
        seen: set[str] = set()
        async for record in self._reader:
            event = record.event
            # Delivery is at least once: a repeat carries the same id.
            if event.id in seen:
                continue
            seen.add(event.id)
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
