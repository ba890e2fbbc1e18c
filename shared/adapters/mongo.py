"""MongoDB: documents with compare-and-set, and bulk access for traces. The only motor import."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import UpdateOne
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    WriteError,
)

from shared.errors import BadInput, Conflict, TransientError

Document = dict[str, Any]
_DUPLICATE_KEY = 11000


def connect(uri: str, database: str, *, patience_ms: int = 5000) -> "MongoDocuments":
    """A store on one database; connects on first use, gives up on a server silent for so long."""
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
        uri,
        serverSelectionTimeoutMS=patience_ms,
        socketTimeoutMS=60_000,
        retryWrites=False,
        tz_aware=True,
    )
    return MongoDocuments(client, client[database])


class MongoDocuments:
    """The DocumentStore port, and the collections behind it for rooms that need more."""

    def __init__(
        self, client: "AsyncIOMotorClient[Document]", database: "AsyncIOMotorDatabase[Document]"
    ) -> None:
        self._client = client
        self._database = database

    def collection(self, name: str) -> "MongoCollection":
        """Bulk access to one collection."""
        return MongoCollection(self._database[name])

    async def ping(self) -> None:
        """Raises TransientError when the database does not answer."""
        async with _transient():
            await self._client.admin.command("ping")

    async def get(self, collection: str, document_id: str) -> Document | None:
        async with _transient():
            return await self._database[collection].find_one({"_id": document_id})
        return None

    async def insert(self, collection: str, document: Document) -> bool:
        async with _transient():
            try:
                await self._database[collection].insert_one({**document, "version": 1})
            except DuplicateKeyError:
                return False
        return True

    async def replace(self, collection: str, document: Document) -> None:
        seen = document["version"]
        async with _transient():
            result = await self._database[collection].replace_one(
                {"_id": document["_id"], "version": seen}, {**document, "version": seen + 1}
            )
        if result.matched_count == 0:
            raise Conflict(
                f"{collection} {document['_id']} is no longer at version {seen}: read it again"
            )

    async def delete(self, collection: str, document_id: str) -> None:
        async with _transient():
            await self._database[collection].delete_one({"_id": document_id})

    async def find(self, collection: str, where: Document) -> list[Document]:
        async with _transient():
            return await self._database[collection].find(where).to_list(None)
        return []

    def close(self) -> None:
        self._client.close()


class MongoCollection:
    """Bulk reads and writes of one collection. All methods raise TransientError."""

    def __init__(self, collection: "AsyncIOMotorCollection[Document]") -> None:
        self._collection = collection

    async def ensure_index(self, keys: Sequence[tuple[str, int]]) -> None:
        async with _transient():
            await self._collection.create_index(list(keys))

    async def insert_new(self, documents: Sequence[Document]) -> int:
        """Insert those whose ``_id`` is new, in one call; how many that were."""
        if not documents:
            return 0
        async with _transient():
            try:
                await self._collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                failures = error.details["writeErrors"]
                if any(failure["code"] != _DUPLICATE_KEY for failure in failures):
                    raise TransientError(f"bulk insert failed: {failures[0]['errmsg']}") from error
                return len(documents) - len(failures)
        return len(documents)

    async def update_unless(
        self, changes: Iterable[tuple[str, Document]], field: str, *, above: str
    ) -> None:
        """Set fields of documents by id, in one call; not where ``field`` is above the new value.

        The comparison is the database's own, so that two writers cannot undo each other.
        """
        updates = [
            UpdateOne({"_id": key, field: {"$not": {"$gt": fields[above]}}}, {"$set": fields})
            for key, fields in changes
        ]
        if updates:
            async with _transient():
                await self._collection.bulk_write(updates, ordered=False)

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Document]:
        """The documents of these ids; absent ones are left out."""
        async with _transient():
            found = await self._collection.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {document["_id"]: document for document in found}

    async def find(
        self,
        where: Document,
        *,
        newest_first_by: str | None = None,
        oldest_first_by: str | None = None,
        limit: int = 0,
    ) -> list[Document]:
        """Documents that match, sorted by one field if asked, at most ``limit`` (0: all)."""
        async with _transient():
            cursor = self._collection.find(where)
            if field := newest_first_by or oldest_first_by:
                cursor = cursor.sort(field, -1 if newest_first_by else 1)
            return await cursor.limit(limit).to_list(None)
        return []

    async def count(self, where: Document) -> int:
        async with _transient():
            return await self._collection.count_documents(where)
        return 0

    async def delete_ids(self, ids: Sequence[str]) -> None:
        async with _transient():
            await self._collection.delete_many({"_id": {"$in": list(ids)}})


@asynccontextmanager
async def _transient() -> AsyncGenerator[None]:
    """What may pass when tried again, in our own error tree."""
    try:
        yield
    except (AutoReconnect, ExecutionTimeout) as error:
        # AutoReconnect covers lost connections, timeouts and a server that cannot be found.
        raise TransientError(f"MongoDB: {error}"[:300]) from error
    except (BSONError, BulkWriteError, DocumentTooLarge, WriteError) as error:
        raise BadInput(f"MongoDB cannot store this: {error}"[:300]) from error
