"""State with an outbox: what changed and the events it causes are stored in one write.

The events are published after the write, and again by a loop if the process died in between, with
the same ids. So a state never changes without its events, and no event tells of a change that was
not stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from shared.events import EVENTS, Event
from shared.ports import DocumentStore, Publisher

State = TypeVar("State")
_BY_TOPIC = {event.topic: event for event in EVENTS}


@dataclass(frozen=True, slots=True)
class Entry(Generic[State]):
    """A state as it was read; ``version`` is what compare-and-set compares."""

    id: str
    state: State
    version: int
    outbox: tuple[Event, ...]


class Ledger(Generic[State]):
    """Entries of one kind in one collection."""

    def __init__(
        self,
        documents: DocumentStore,
        publisher: Publisher,
        collection: str,
        kind: "TypeAdapter[State]",
    ) -> None:
        self._documents = documents
        self._publisher = publisher
        self._collection = collection
        self._kind = kind
        self._seen: set[tuple[str, int]] = set()

    async def get(self, key: str) -> Entry[State] | None:
        document = await self._documents.get(self._collection, key)
        return self._entry(document) if document else None

    async def create(self, key: str, state: State, events: Sequence[Event]) -> bool:
        """Store a new state with its events and publish them; False when the key is taken."""
        document = self._document(Entry(key, state, 0, tuple(events)))
        if not await self._documents.insert(self._collection, document):
            return False
        await self.flush(key)
        return True

    async def change(self, entry: Entry[State], state: State, events: Sequence[Event]) -> None:
        """Store the next state with its events and publish them. Raises Conflict."""
        outbox = (*entry.outbox, *events)
        await self._documents.replace(
            self._collection, self._document(Entry(entry.id, state, entry.version, outbox))
        )
        await self.flush(entry.id)

    async def flush(self, key: str) -> None:
        """Publish what is still in the outbox of one entry, then empty it. Raises Conflict."""
        entry = await self.get(key)
        if entry is None or not entry.outbox:
            return
        for event in entry.outbox:
            await self._publisher.publish(event)
        await self._documents.replace(
            self._collection, self._document(Entry(key, entry.state, entry.version, ()))
        )

    async def flush_abandoned(self) -> None:
        """Publish what was unpublished the last time already. Raises Conflict.

        What is seen for the first time is most likely being published by its own handler now.
        """
        documents = await self._documents.find(self._collection, {"unpublished": True})
        waiting = {(document["_id"], document["version"]) for document in documents}
        abandoned, self._seen = waiting & self._seen, waiting
        for key, _ in sorted(abandoned):
            await self.flush(key)

    def _entry(self, document: dict[str, Any]) -> Entry[State]:
        return Entry(
            id=document["_id"],
            state=self._kind.validate_python(document["state"]),
            version=document["version"],
            outbox=tuple(
                _BY_TOPIC[o["topic"]].model_validate_json(o["body"]) for o in document["outbox"]
            ),
        )

    def _document(self, entry: Entry[State]) -> dict[str, Any]:
        return {
            "_id": entry.id,
            "version": entry.version,
            "state": self._kind.dump_python(entry.state, mode="json"),
            "outbox": [{"topic": e.topic, "body": e.model_dump_json()} for e in entry.outbox],
            "unpublished": bool(entry.outbox),
        }
