"""The DocumentStore and TraceStore in memory."""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.diagnoser.domain.calibration import Outcome
from services.diagnoser.domain.opinions import HeardOpinion, NotedOpinion, answers, voices
from services.diagnoser.ports import (
    FailureCount,
    QuarantinedTrace,
    Release,
    StoredTrace,
    StoredTriage,
    TraceRecord,
)
from shared.domain.traces import JudgedTrace, Judgement, UnjudgedTrace, Verdict, VerdictSource
from shared.domain.triage import Family, TriageKind, TriageVerdict
from shared.errors import Conflict, UnknownThing
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
    """Traces with their opinions, verdicts and releases, and parked feedback."""

    def __init__(self) -> None:
        self.traces: dict[str, tuple[TraceLogged, Judgement | None, datetime]] = {}
        self.waiting: dict[str, tuple[FeedbackGiven, datetime]] = {}
        self.opinions: dict[str, dict[str, HeardOpinion]] = defaultdict(dict)
        self.verdicts: dict[str, tuple[str, StoredTriage]] = {}
        self.releases: dict[str, Release] = {}

    async def add(
        self, traces: Sequence[tuple[TraceLogged, Judgement | None]], now: datetime
    ) -> int:
        new = [(t, j) for t, j in traces if t.id not in self.traces]
        for trace, judgement in new:
            self.traces.setdefault(trace.id, (trace, judgement, now))
        return len(new)

    async def lookup(self, ids: Sequence[str]) -> Mapping[str, StoredTrace]:
        found = {key: self.traces[key] for key in ids if key in self.traces}
        return {
            k: StoredTrace(k, t.model, t.model_version, t.output, j, t.input)
            for k, (t, j, _) in found.items()
        }

    async def judge(self, judgements: Mapping[str, Judgement], now: datetime) -> None:
        for key, judgement in judgements.items():
            trace, before, _ = self.traces[key]
            if before is None or before.source.strength <= judgement.source.strength:
                self.traces[key] = (trace, judgement, now)

    async def note(
        self, opinions: Sequence[NotedOpinion], known: Mapping[str, StoredTrace], now: datetime
    ) -> None:
        for noted in opinions:
            heard = HeardOpinion(noted.opinion, now)
            self.opinions[known[noted.trace_id].id].setdefault(noted.id, heard)

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
            for _, j, at in self._judged(model, version)
            if j.verdict is Verdict.FAIL
            and j.corrected is not None
            and (since is None or at > since)
        ]
        return FailureCount(len(times), max(times, default=None))

    async def failures(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        found = [
            self._trace(t, j)
            for t, j, _ in self._judged(model, version)
            if j.verdict is Verdict.FAIL and j.corrected is not None
        ]
        return found[:limit]

    async def passes(self, model: str, version: int, limit: int) -> Sequence[JudgedTrace]:
        judged = self._judged(model, version)
        return [self._trace(t, j) for t, j, _ in judged if j.verdict is Verdict.PASS][:limit]

    async def count_passes(self, model: str, version: int) -> int:
        return sum(j.verdict is Verdict.PASS for _, j, _ in self._judged(model, version))

    async def outcomes(self, model: str, version: int, limit: int) -> Sequence[Outcome]:
        return [
            Outcome(t.output, t.confidence, right=j.verdict is Verdict.PASS)
            for t, j, _ in self._judged(model, version)[:limit]
        ]

    async def unjudged(self, model: str, version: int, limit: int) -> Sequence[UnjudgedTrace]:
        found = [
            (at, _unjudged(t))
            for t, j, at in reversed(self.traces.values())
            if j is None and (t.model, t.model_version) == (model, version)
        ]
        return [t for _, t in sorted(found, key=lambda f: f[0], reverse=True)][:limit]

    async def human_words(self, model: str, limit: int) -> Sequence[JudgedTrace]:
        found = [
            (at, self._trace(t, j))
            for t, j, at in reversed(self.traces.values())
            if j and t.model == model and j.source is VerdictSource.HUMAN and j.corrected
        ]
        return [t for _, t in sorted(found, key=lambda f: f[0], reverse=True)][:limit]

    async def record_triage(
        self,
        verdicts: Mapping[str, TriageVerdict],
        *,
        model: str,
        diagnosis_id: str,
        now: datetime,
    ) -> None:
        for key, verdict in verdicts.items():
            _, before = self.verdicts.get(key, (model, None))
            if before is None or (before.verdict != verdict and before.at <= now):
                self.verdicts[key] = (model, StoredTriage(verdict, diagnosis_id, now))

    async def triage_of(self, trace_id: str) -> StoredTriage | None:
        if trace_id not in self.verdicts:
            return None
        _, triage = self.verdicts[trace_id]
        return replace(triage, release=self.releases.get(trace_id))

    async def release(self, trace_id: str, *, by: str, reason: str, now: datetime) -> None:
        if trace_id not in self.traces:
            raise UnknownThing(f"trace {trace_id!r} is unknown: there is nothing to release")
        self.releases.setdefault(trace_id, Release(by, reason, now))

    async def quarantined(
        self, model: str, limit: int, family: Family | None = None
    ) -> Sequence[QuarantinedTrace]:
        found = [
            (key, triage)
            for key, (of, triage) in self.verdicts.items()
            if of == model
            and triage.verdict.kind is TriageKind.POISON
            and family in (None, triage.verdict.family)
            and key not in self.releases
        ]
        found.sort(key=lambda f: f[1].at, reverse=True)
        return [
            QuarantinedTrace(key, t.input, t.output, j and j.corrected, triage)
            for key, triage in found[:limit]
            for t, j, _ in [self.traces[key]]
        ]

    async def record(self, trace_id: str) -> TraceRecord | None:
        if trace_id not in self.traces:
            return None
        trace, judgement, _ = self.traces[trace_id]
        return TraceRecord(
            trace=_unjudged(trace),
            model=trace.model,
            model_version=trace.model_version,
            metadata=trace.metadata,
            judgement=judgement,
            votes=voices(self.opinions[trace_id].values()),
            triage=await self.triage_of(trace_id),
            release=self.releases.get(trace_id),
        )

    def _judged(self, model: str, version: int) -> list[tuple[TraceLogged, Judgement, datetime]]:
        """Newest first."""
        found = [
            (t, j, at)
            for t, j, at in reversed(self.traces.values())
            if j and (t.model, t.model_version) == (model, version)
        ]
        return sorted(found, key=lambda f: f[2], reverse=True)

    def _trace(self, trace: TraceLogged, judgement: Judgement) -> JudgedTrace:
        votes = voices(self.opinions[trace.id].values())
        return JudgedTrace(
            id=trace.id,
            text=trace.input,
            output=trace.output,
            verdict=judgement.verdict,
            corrected=judgement.corrected or trace.output,
            source=judgement.source,
            confidence=trace.confidence,
            occurred_at=trace.occurred_at,
            opinions=answers(judgement.corrected, votes),
            votes=votes,
            released=trace.id in self.releases,
            metadata=trace.metadata,
        )


def _unjudged(trace: TraceLogged) -> UnjudgedTrace:
    return UnjudgedTrace(trace.id, trace.input, trace.output, trace.confidence, trace.occurred_at)
