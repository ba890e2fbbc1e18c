"""The TraceStore over MongoDB: inserts and judgements in bulk."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.diagnoser.ports import FailureCount, StoredTrace
from shared.adapters.mongo import MongoDocuments
from shared.domain.traces import JudgedTrace, Judgement, Verdict, VerdictSource
from shared.events import FeedbackGiven, TraceLogged

Document = dict[str, Any]


class MongoTraces:
    """Collections ``traces`` and ``parked_feedback``."""

    def __init__(self, documents: MongoDocuments) -> None:
        self._traces = documents.collection("traces")
        self._parked = documents.collection("parked_feedback")

    async def prepare(self) -> None:
        """Create the indexes that triggers and diagnoses read by."""
        await self._traces.ensure_index(
            [("model", 1), ("model_version", 1), ("verdict", 1), ("judged_at", -1)]
        )
        await self._parked.ensure_index([("trace_id", 1)])

    async def add(
        self, traces: Sequence[tuple[TraceLogged, Judgement | None]], now: datetime
    ) -> int:
        return await self._traces.insert_new([_document(t, j, now) for t, j in traces])

    async def lookup(self, ids: Sequence[str]) -> Mapping[str, StoredTrace]:
        found = await self._traces.by_ids(ids)
        return {
            key: StoredTrace(key, d["model"], d["output"], _judgement(d))
            for key, d in found.items()
        }

    async def judge(self, judgements: Mapping[str, Judgement], now: datetime) -> None:
        # Replicas and loops judge side by side: a weaker word must never land on a stronger one.
        await self._traces.update_unless(
            [(key, _judgement_fields(j, now)) for key, j in judgements.items()],
            "strength",
            above="strength",
        )

    async def park(self, feedback: Sequence[FeedbackGiven], now: datetime) -> None:
        await self._parked.insert_new(
            [
                {"_id": f.id, "trace_id": f.trace_id, "came_at": now, "body": f.model_dump_json()}
                for f in feedback
            ]
        )

    async def parked_for(self, trace_ids: Sequence[str]) -> Sequence[FeedbackGiven]:
        found = await self._parked.find({"trace_id": {"$in": list(trace_ids)}})
        found.sort(key=lambda d: d["came_at"])
        return [FeedbackGiven.model_validate_json(d["body"]) for d in found]

    async def parked(self) -> Sequence[tuple[FeedbackGiven, datetime]]:
        found = await self._parked.find({})
        found.sort(key=lambda d: d["came_at"])
        return [(FeedbackGiven.model_validate_json(d["body"]), d["came_at"]) for d in found]

    async def unpark(self, feedback_ids: Sequence[str]) -> None:
        await self._parked.delete_ids(feedback_ids)

    async def count_failures(
        self, model: str, version: int, since: datetime | None
    ) -> FailureCount:
        where = _failed(model, version)
        if since is not None:
            where["judged_at"] = {"$gt": since}
        newest = await self._traces.find(where, newest_first_by="judged_at", limit=1)
        if not newest:
            return FailureCount(0, None)
        return FailureCount(await self._traces.count(where), newest[0]["judged_at"])

    async def failures(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        found = await self._traces.find(
            _failed(model, version), newest_first_by="judged_at", limit=limit
        )
        return [_judged(d) for d in found]

    async def passes(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        where = {"model": model, "model_version": version, "verdict": Verdict.PASS.value}
        found = await self._traces.find(where, newest_first_by="judged_at", limit=limit)
        return [_judged(d) for d in found]


def _failed(model: str, version: int) -> Document:
    # A failure without a known right output is kept and counted, but nothing can be learned of it.
    return {
        "model": model,
        "model_version": version,
        "verdict": Verdict.FAIL.value,
        "corrected": {"$ne": None},
    }


def _document(trace: TraceLogged, judgement: Judgement | None, now: datetime) -> Document:
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
    return document | _judgement_fields(judgement, now) if judgement else document


def _judgement_fields(judgement: Judgement, now: datetime) -> Document:
    return {
        "verdict": judgement.verdict.value,
        "source": judgement.source.value,
        "strength": judgement.source.strength,
        "corrected": judgement.corrected,
        "reason": judgement.reason,
        "judged_at": now,
    }


def _judgement(document: Document) -> Judgement | None:
    if "verdict" not in document:
        return None
    return Judgement(
        verdict=Verdict(document["verdict"]),
        source=VerdictSource(document["source"]),
        corrected=document["corrected"],
        reason=document["reason"],
    )


def _judged(document: Document) -> JudgedTrace:
    return JudgedTrace(
        id=document["_id"],
        text=document["input"],
        output=document["output"],
        verdict=Verdict(document["verdict"]),
        corrected=document["corrected"] or document["output"],
        source=VerdictSource(document["source"]),
        confidence=document.get("confidence"),
    )
