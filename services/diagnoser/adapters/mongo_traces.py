"""The TraceStore over MongoDB: inserts and judgements in bulk."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from services.diagnoser.adapters.mongo_triage import MongoTriage
from services.diagnoser.adapters.trace_documents import (
    Document,
    judged_trace,
    judgement_fields,
    judgement_of,
    opinion_document,
    trace_document,
    unjudged_trace,
    voices_of,
)
from services.diagnoser.domain.calibration import Outcome
from services.diagnoser.domain.opinions import NotedOpinion
from services.diagnoser.ports import (
    FailureCount,
    QuarantinedTrace,
    Release,
    StoredTrace,
    StoredTriage,
    TraceRecord,
)
from shared.adapters.mongo import MongoDocuments
from shared.domain.traces import JudgedTrace, Judgement, Opinion, UnjudgedTrace, Verdict
from shared.domain.traces import VerdictSource as Source
from shared.domain.triage import Family, TriageVerdict
from shared.errors import UnknownThing
from shared.events import FeedbackGiven, TraceLogged


class MongoTraces:
    """Collections ``traces``, ``opinions`` and ``parked_feedback``, and those of MongoTriage."""

    def __init__(self, documents: MongoDocuments) -> None:
        self._traces = documents.collection("traces")
        self._opinions = documents.collection("opinions")
        self._parked = documents.collection("parked_feedback")
        self._triage = MongoTriage(documents)

    async def prepare(self) -> None:
        """Create the indexes that triggers and diagnoses read by."""
        await self._traces.ensure_index(
            [("model", 1), ("model_version", 1), ("verdict", 1), ("judged_at", -1)]
        )
        await self._traces.ensure_index([("model", 1), ("source", 1), ("judged_at", -1)])
        await self._opinions.ensure_index([("model", 1), ("model_version", 1)])
        await self._opinions.ensure_index([("trace_id", 1)])
        await self._parked.ensure_index([("trace_id", 1)])
        await self._triage.prepare()

    async def add(
        self, traces: Sequence[tuple[TraceLogged, Judgement | None]], now: datetime
    ) -> int:
        return await self._traces.insert_new([trace_document(t, j, now) for t, j in traces])

    async def lookup(self, ids: Sequence[str]) -> Mapping[str, StoredTrace]:
        found = await self._traces.by_ids(ids)
        return {
            key: StoredTrace(
                key, d["model"], d["model_version"], d["output"], judgement_of(d), d["input"]
            )
            for key, d in found.items()
        }

    async def judge(self, judgements: Mapping[str, Judgement], now: datetime) -> None:
        # Replicas and loops judge side by side: a weaker word must never land on a stronger one.
        await self._traces.update_unless(
            [(key, judgement_fields(j, now)) for key, j in judgements.items()],
            "strength",
            above="strength",
        )

    async def note(
        self, opinions: Sequence[NotedOpinion], known: Mapping[str, StoredTrace], now: datetime
    ) -> None:
        await self._opinions.insert_new(
            [opinion_document(noted, known[noted.trace_id], now) for noted in opinions]
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
        return await self._of_version(_failed(model, version), limit)

    async def passes(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        return await self._of_version(_version(model, version, Verdict.PASS.value), limit)

    async def count_passes(self, model: str, version: int) -> int:
        return await self._traces.count(_version(model, version, Verdict.PASS.value))

    async def outcomes(self, model: str, version: int, limit: int) -> Sequence[Outcome]:
        where = _version(model, version, {"$in": [v.value for v in Verdict]})
        found = await self._traces.find(where, newest_first_by="judged_at", limit=limit)
        return [
            Outcome(d["output"], d.get("confidence"), right=d["verdict"] == Verdict.PASS.value)
            for d in found
        ]

    async def unjudged(self, model: str, version: int, limit: int) -> Sequence[UnjudgedTrace]:
        # Comparing with None also finds the traces that have no such field.
        where = _version(model, version, None)
        found = await self._traces.find(where, newest_first_by="stored_at", limit=limit)
        return [unjudged_trace(d) for d in found]

    async def human_words(self, model: str, limit: int) -> Sequence[JudgedTrace]:
        where = {"model": model, "source": Source.HUMAN.value, "corrected": {"$ne": None}}
        found = await self._traces.find(where, newest_first_by="judged_at", limit=limit)
        return [judged_trace(d) for d in found]

    async def record_triage(
        self,
        verdicts: Mapping[str, TriageVerdict],
        *,
        model: str,
        diagnosis_id: str,
        now: datetime,
    ) -> None:
        await self._triage.record(verdicts, model=model, diagnosis_id=diagnosis_id, now=now)

    async def triage_of(self, trace_id: str) -> StoredTriage | None:
        return (await self._triage.of([trace_id])).get(trace_id)

    async def release(self, trace_id: str, *, by: str, reason: str, now: datetime) -> None:
        trace = (await self._traces.by_ids([trace_id])).get(trace_id)
        if trace is None:
            raise UnknownThing(f"trace {trace_id!r} is unknown: there is nothing to release")
        await self._triage.release(trace_id, trace["model"], Release(by, reason, now))

    async def quarantined(
        self, model: str, limit: int, family: Family | None = None
    ) -> Sequence[QuarantinedTrace]:
        released = await self._triage.released(model)
        verdicts = await self._triage.poisoned(model, limit, family=family, but=released)
        traces = await self._traces.by_ids(list(verdicts))
        return [
            QuarantinedTrace(key, d["input"], d["output"], d.get("corrected"), triage)
            for key, triage in verdicts.items()
            if (d := traces.get(key))
        ]

    async def record(self, trace_id: str) -> TraceRecord | None:
        document = (await self._traces.by_ids([trace_id])).get(trace_id)
        if document is None:
            return None
        opinions = await self._opinions.find({"trace_id": trace_id})
        return TraceRecord(
            trace=unjudged_trace(document),
            model=document["model"],
            model_version=document["model_version"],
            metadata=document.get("metadata", {}),
            judgement=judgement_of(document),
            votes=voices_of(opinions),
            triage=await self.triage_of(trace_id),
            release=(await self._triage.releases_of([trace_id])).get(trace_id),
        )

    async def _of_version(self, where: Document, limit: int) -> list[JudgedTrace]:
        found = await self._traces.find(where, newest_first_by="judged_at", limit=limit)
        votes = await self._votes(where["model"], where["model_version"])
        released = await self._triage.released(where["model"])
        return [
            judged_trace(d, votes.get(d["_id"], ()), released=d["_id"] in released) for d in found
        ]

    async def _votes(self, model: str, version: int) -> dict[str, tuple[Opinion, ...]]:
        opinions: dict[str, list[Document]] = defaultdict(list)
        # All of the version: asking for 100,000 traces by their ids takes several times as long.
        for document in await self._opinions.find({"model": model, "model_version": version}):
            opinions[document["trace_id"]].append(document)
        return {key: voices_of(found) for key, found in opinions.items()}


def _version(model: str, version: int, verdict: object) -> Document:
    return {"model": model, "model_version": version, "verdict": verdict}


def _failed(model: str, version: int) -> Document:
    # A failure without a known right output is kept and counted, but nothing can be learned of it.
    return _version(model, version, Verdict.FAIL.value) | {"corrected": {"$ne": None}}
