"""What a human should judge next, and which earlier corrections may be offered for it."""

from dataclasses import dataclass

from services.diagnoser.domain.calibration import calibrate
from services.diagnoser.domain.propagation import Offer, offer_corrections
from services.diagnoser.ports import TraceRecord, TraceStore
from shared.domain.traces import UnjudgedTrace, VerdictSource
from shared.errors import BadInput, UnknownThing

# A person looks at tens of traces; these bound what is read for it.
_OUTCOMES = 20_000
_WORDS = 5_000


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A trace to judge. ``confidence`` is calibrated; ``offer`` waits for a human's yes."""

    trace: UnjudgedTrace
    confidence: float
    offer: Offer | None


async def review_queue(
    traces: TraceStore, model: str, version: int, *, look_at: int = 5_000
) -> list[ReviewItem]:
    """The newest ``look_at`` unjudged traces of a version, the least certain first (§2.7)."""
    waiting = await traces.unjudged(model, version, look_at)
    record = calibrate(await traces.outcomes(model, version, _OUTCOMES))
    offers = offer_corrections(await traces.human_words(model, _WORDS), waiting)
    items = [
        ReviewItem(t, record.calibrated(t.output, t.confidence), offers.get(t.id)) for t in waiting
    ]
    return sorted(items, key=lambda item: (item.confidence, item.trace.id))


async def offer_for(traces: TraceStore, trace_id: str) -> tuple[TraceRecord, Offer]:
    """What one trace is offered now. Raises UnknownThing without an offer, BadInput if judged."""
    record = await traces.record(trace_id)
    if record is None:
        raise UnknownThing(f"trace {trace_id!r} is unknown: take an id that was logged")
    if record.judgement and record.judgement.source is VerdictSource.HUMAN:
        raise BadInput(f"trace {trace_id!r} was judged by a human already: {_said(record)}")
    words = await traces.human_words(record.model, _WORDS)
    offer = offer_corrections(words, [record.trace]).get(trace_id)
    if offer is None:
        raise UnknownThing(
            f"trace {trace_id!r} is offered no correction: give feedback on it instead"
        )
    return record, offer


def _said(record: TraceRecord) -> str:
    judgement = record.judgement
    return repr(judgement.corrected) if judgement and judgement.corrected else "it failed"
