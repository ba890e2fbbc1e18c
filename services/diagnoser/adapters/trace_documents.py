"""Traces, judgements and opinions as documents, and back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.diagnoser.domain.opinions import HeardOpinion, NotedOpinion, answers, voices
from services.diagnoser.ports import StoredTrace
from shared.domain.traces import (
    JudgedTrace,
    Judgement,
    Opinion,
    UnjudgedTrace,
    Verdict,
    VerdictSource,
)
from shared.events import TraceLogged

Document = dict[str, Any]


def trace_document(trace: TraceLogged, judgement: Judgement | None, now: datetime) -> Document:
    """A new trace."""
    document: Document = {
        "_id": trace.id,
        "model": trace.model,
        "model_version": trace.model_version,
        "input": trace.input,
        "output": trace.output,
        "confidence": trace.confidence,
        "occurred_at": trace.occurred_at,
        "stored_at": now,
    }
    if trace.metadata:
        document["metadata"] = trace.metadata
    return document | judgement_fields(judgement, now) if judgement else document


def judgement_fields(judgement: Judgement, now: datetime) -> Document:
    """What a judgement sets in a trace."""
    return {
        "verdict": judgement.verdict.value,
        "source": judgement.source.value,
        "strength": judgement.source.strength,
        "corrected": judgement.corrected,
        "reason": judgement.reason,
        "judged_at": now,
    }


def opinion_document(noted: NotedOpinion, trace: StoredTrace, at: datetime) -> Document:
    """An opinion, found by its trace or by the version that answered."""
    return {
        "_id": noted.id,
        "trace_id": noted.trace_id,
        "model": trace.model,
        "model_version": trace.model_version,
        "answer": noted.opinion.answer,
        "source": noted.opinion.source.value,
        "corrector": noted.opinion.corrector,
        "at": at,
    }


def judgement_of(document: Document) -> Judgement | None:
    """The judgement of a trace, if it has one."""
    if "verdict" not in document:
        return None
    return Judgement(
        verdict=Verdict(document["verdict"]),
        source=VerdictSource(document["source"]),
        corrected=document["corrected"],
        reason=document["reason"],
    )


def voices_of(opinions: Sequence[Document]) -> tuple[Opinion, ...]:
    """The voices among the opinions of one trace."""
    return voices(
        HeardOpinion(Opinion(d["answer"], VerdictSource(d["source"]), d["corrector"]), d["at"])
        for d in opinions
    )


def judged_trace(
    document: Document, votes: tuple[Opinion, ...] = (), *, released: bool = False
) -> JudgedTrace:
    """A judged trace as diagnosis sees it."""
    return JudgedTrace(
        id=document["_id"],
        text=document["input"],
        output=document["output"],
        verdict=Verdict(document["verdict"]),
        corrected=document["corrected"] or document["output"],
        source=VerdictSource(document["source"]),
        confidence=document.get("confidence"),
        occurred_at=document.get("occurred_at"),
        opinions=answers(document["corrected"], votes),
        votes=votes,
        released=released,
        metadata=document.get("metadata", {}),
    )


def unjudged_trace(document: Document) -> UnjudgedTrace:
    """What was asked and answered, without what was said of it."""
    return UnjudgedTrace(
        id=document["_id"],
        text=document["input"],
        output=document["output"],
        confidence=document.get("confidence"),
        occurred_at=document.get("occurred_at"),
    )
