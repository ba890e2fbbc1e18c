"""One active run for each model."""

from shared.ports import DocumentStore

COLLECTION = "active_runs"


class Leases:
    """Whose run a model is in. A lease outlives its holder's process, not its run."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    async def take(self, model: str, run_id: str) -> str:
        """The run that holds the model now: ``run_id`` if it was free or held by it already."""
        if await self._documents.insert(COLLECTION, {"_id": model, "run_id": run_id}):
            return run_id
        document = await self._documents.get(COLLECTION, model)
        return document["run_id"] if document else await self.take(model, run_id)

    async def give_back(self, model: str, run_id: str) -> None:
        """Free the model if this run holds it."""
        document = await self._documents.get(COLLECTION, model)
        if document and document["run_id"] == run_id:
            await self._documents.delete(COLLECTION, model)

    async def held(self) -> list[str]:
        """The ids of all active runs."""
        return [d["run_id"] for d in await self._documents.find(COLLECTION, {})]
