"""The ledger of calls to the chat model, in the document store."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from shared.domain.chat_calls import CallRecord
from shared.ports import DocumentStore

COLLECTION = "chat_calls"

_RECORD = TypeAdapter(CallRecord)


class DocumentLedger:
    """Implements ``CallLedger``. A record changes once: from opened to closed."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    async def calls(self, run_id: str) -> Sequence[CallRecord]:
        """The calls made for one run."""
        return await self._find({"run_id": run_id})

    async def calls_of(self, prompt: str) -> Sequence[CallRecord]:
        """The calls made with one prompt, of all its versions and all runs."""
        return await self._find({"prompt": prompt})

    async def open(self, call: CallRecord) -> bool:
        """Record a call before it is made; False when another process made one of this id."""
        return await self._documents.insert(COLLECTION, _document(call))

    async def close(self, call: CallRecord) -> None:
        """Record how a call that was opened ended."""
        await self._documents.replace(COLLECTION, {**_document(call), "version": 1})

    async def _find(self, where: dict[str, Any]) -> list[CallRecord]:
        found = await self._documents.find(COLLECTION, where)
        return [_RECORD.validate_python({**d, "id": d["_id"]}) for d in found]


def _document(call: CallRecord) -> dict[str, Any]:
    document: dict[str, Any] = _RECORD.dump_python(call, mode="json")
    return {"_id": document.pop("id"), **document}
