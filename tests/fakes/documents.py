"""The DocumentStore and TraceStore in memory."""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.diagnoser.ports import FailureCount, StoredTrace
from shared.domain.traces import JudgedTrace, Judgement, Verdict
from shared.errors import Conflict
from shared.events import FeedbackGiven, TraceLogged


class InMemoryDocuments:
    """Documents with compare-and-set; what is read is a copy, as from a database."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    async def get(self, collection: str, document_id: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.collections[collection].get(document_id))

    async def insert(self, collection: str, document: dict[str, Any]) -> bool:
        if document["_id"] in self.collections[collection]:
            return False
        self.collections[collection][document["_id"]] = {**copy.deepcopy(document), "version": 1}
        return True

    async def replace(self, collection: str, document: dict[str, Any]) -> None:
        stored = self.collections[collection].get(document["_id"])
        if stored is None or stored["version"] != document["version"]:
            raise Conflict(f"{collection} {document['_id']}: lost against another writer")
        changed = {**copy.deepcopy(document), "version": document["version"] + 1}
        self.collections[collection][document["_id"]] = changed

    async def delete(self, collection: str, document_id: str) -> None:
        self.collections[collection].pop(document_id, None)

    async def find(self, collection: str, where: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            copy.deepcopy(d)
            for d in self.collections[collection].values()
            if all(d.get(key) == value for key, value in where.items())
        ]


class InMemoryTraces:
    """Traces and parked feedback."""

    def __init__(self) -> None:
        self.traces: dict[str, tuple[TraceLogged, Judgement | None, datetime]] = {}
        self.waiting: dict[str, tuple[FeedbackGiven, datetime]] = {}

    async def add(
        self, traces: Sequence[tuple[TraceLogged, Judgement | None]], now: datetime
    ) -> int:
        new = [(t, j) for t, j in traces if t.id not in self.traces]
        for trace, judgement in new:
            self.traces.setdefault(trace.id, (trace, judgement, now))
        return len(new)

    async def lookup(self, ids: Sequence[str]) -> Mapping[str, StoredTrace]:
        found = {key: self.traces[key] for key in ids if key in self.traces}
        return {k: StoredTrace(k, t.model, t.output, j) for k, (t, j, _) in found.items()}

    async def judge(self, judgements: Mapping[str, Judgement], now: datetime) -> None:
        for key, judgement in judgements.items():
            trace, before, _ = self.traces[key]
            if before is None or before.source.strength <= judgement.source.strength:
                self.traces[key] = (trace, judgement, now)

    async def park(self, feedback: Sequence[FeedbackGiven], now: datetime) -> None:
        for given in feedback:
            self.waiting.setdefault(given.id, (given, now))

    async def parked_for(self, trace_ids: Sequence[str]) -> Sequence[FeedbackGiven]:
        return [f for f, _ in self.waiting.values() if f.trace_id in trace_ids]

    async def parked(self) -> Sequence[tuple[FeedbackGiven, datetime]]:
        return list(self.waiting.values())

    async def unpark(self, feedback_ids: Sequence[str]) -> None:
        for key in feedback_ids:
            self.waiting.pop(key, None)

    async def count_failures(
        self, model: str, version: int, since: datetime | None
    ) -> FailureCount:
        times = [
            at
            for t, j, at in self._judged(model, version, Verdict.FAIL)
            if j.corrected is not None and (since is None or at > since)
        ]
        return FailureCount(len(times), max(times, default=None))

    async def failures(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        found = self._judged(model, version, Verdict.FAIL)
        return [_trace(t, j) for t, j, _ in found if j.corrected is not None][-limit:]

    async def passes(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        return [_trace(t, j) for t, j, _ in self._judged(model, version, Verdict.PASS)][-limit:]

    def _judged(
        self, model: str, version: int, verdict: Verdict
    ) -> list[tuple[TraceLogged, Judgement, datetime]]:
        return [
            (t, j, at)
            for t, j, at in self.traces.values()
            if j and j.verdict is verdict and (t.model, t.model_version) == (model, version)
        ]


def _trace(trace: TraceLogged, judgement: Judgement) -> JudgedTrace:
    return JudgedTrace(
        id=trace.id,
        text=trace.input,
        output=trace.output,
        verdict=judgement.verdict,
        corrected=judgement.corrected or trace.output,
        source=judgement.source,
        confidence=trace.confidence,
    )
