"""Triage verdicts and releases in MongoDB, beside the traces they are about.

They are collections of their own because inserting is cheap: 100,000 verdicts are inserted in
seconds, while as many updates of single traces take minutes where each is synced to disk.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.diagnoser.ports import Release, StoredTriage
from shared.adapters.mongo import MongoDocuments
from shared.domain.triage import Evidence, Family, TriageKind, TriageVerdict

Document = dict[str, Any]
_AT_ONCE = 2_000
# A signal's figure wavers a little from one diagnosis to the next; that is no other verdict.
_DIGITS = 2


class MongoTriage:
    """Collections ``triage`` and ``releases``, both with the trace's id as their own."""

    def __init__(self, documents: MongoDocuments) -> None:
        self._verdicts = documents.collection("triage")
        self._releases = documents.collection("releases")

    async def prepare(self) -> None:
        """Create the indexes that the quarantine is read by."""
        await self._verdicts.ensure_index([("model", 1), ("kind", 1), ("at", -1)])
        await self._releases.ensure_index([("model", 1)])

    async def record(
        self,
        verdicts: Mapping[str, TriageVerdict],
        *,
        model: str,
        diagnosis_id: str,
        now: datetime,
    ) -> None:
        """Keep verdicts that are new or say something else than the one there."""
        made: Document = {"model": model, "diagnosis_id": diagnosis_id, "at": now}
        keys = list(verdicts)
        for start in range(0, len(keys), _AT_ONCE):
            documents = [
                {"_id": key, **made, **_verdict_fields(verdicts[key])}
                for key in keys[start : start + _AT_ONCE]
            ]
            # Mostly all are new, and need not be looked up.
            if await self._verdicts.insert_new(documents) < len(documents):
                await self._replace(documents, now)

    async def of(self, trace_ids: Sequence[str]) -> dict[str, StoredTriage]:
        """The verdicts of traces, with their releases."""
        found = await self._verdicts.by_ids(trace_ids)
        releases = await self.releases_of(list(found))
        return {key: _stored(d, releases.get(key)) for key, d in found.items()}

    async def release(self, trace_id: str, model: str, release: Release) -> None:
        """Keep a release; the first one stands."""
        document = {"_id": trace_id, "model": model, **asdict(release)}
        await self._releases.insert_new([document])

    async def releases_of(self, trace_ids: Sequence[str]) -> dict[str, Release]:
        """The releases of these traces."""
        found = await self._releases.by_ids(trace_ids)
        return {key: Release(d["by"], d["reason"], d["at"]) for key, d in found.items()}

    async def released(self, model: str) -> set[str]:
        """The ids of all released traces of a model."""
        return {d["_id"] for d in await self._releases.find({"model": model})}

    async def poisoned(
        self, model: str, limit: int, *, family: Family | None, but: Collection[str]
    ) -> dict[str, StoredTriage]:
        """Verdicts of poison by trace id, newest first, without those of the traces in ``but``."""
        where: Document = {"model": model, "kind": TriageKind.POISON.value}
        if family:
            where["family"] = family.value
        if but:
            where["_id"] = {"$nin": sorted(but)}
        found = await self._verdicts.find(where, newest_first_by="at", limit=limit)
        return {d["_id"]: _stored(d, None) for d in found}

    async def _replace(self, documents: Sequence[Document], now: datetime) -> None:
        there = await self._verdicts.by_ids([d["_id"] for d in documents])
        changed = [d for d in documents if _supersedes(d, there.get(d["_id"]), now)]
        # A crash between the two costs nothing: whoever records is run again until both are done.
        await self._verdicts.delete_ids([d["_id"] for d in changed])
        await self._verdicts.insert_new(changed)


def _supersedes(new: Document, old: Document | None, now: datetime) -> bool:
    if old is None:
        return False
    said = ("kind", "confidence", "family", "evidence")
    return old["at"] <= now and any(new.get(field) != old.get(field) for field in said)


def _verdict_fields(verdict: TriageVerdict) -> Document:
    """What nothing was found in, most rows, is kept in two short fields."""
    fields: Document = {
        "kind": verdict.kind.value,
        "confidence": round(verdict.confidence, _DIGITS),
    }
    if verdict.family:
        fields["family"] = verdict.family.value
    if verdict.evidence:
        fields["evidence"] = [
            {
                "signal": one.signal,
                "family": one.family.value,
                "probability": round(one.probability, _DIGITS),
                "detail": one.detail,
            }
            for one in verdict.evidence
        ]
    return fields


def _stored(document: Document, release: Release | None) -> StoredTriage:
    family = document.get("family")
    evidence = tuple(
        Evidence(e["signal"], Family(e["family"]), e["probability"], e["detail"])
        for e in document.get("evidence", ())
    )
    verdict = TriageVerdict(
        TriageKind(document["kind"]),
        document["confidence"],
        Family(family) if family else None,
        evidence,
    )
    return StoredTriage(verdict, document["diagnosis_id"], document["at"], release)
