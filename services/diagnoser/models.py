"""What the diagnoser knows of each model: what is deployed, and which diagnosis is open."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel
from shared.errors import Conflict
from shared.ports import DocumentStore

COLLECTION = "diagnoser_models"


@dataclass(frozen=True, slots=True)
class OpenDiagnosis:
    """A diagnosis under way or waiting for its run to close; it covers failures up to ``as_of``.

    ``event`` is the JSON of what was published for it, ``asked_at`` when that was done last.
    """

    id: str
    as_of: datetime
    event: str | None = None
    asked_at: datetime | None = None

    @property
    def event_id(self) -> str:
        """The id of the event this diagnosis publishes."""
        return derive_id("diagnosed", self.id)


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model as its events told; ``deployment`` orders events that came out of order."""

    deployed: DeployedModel
    deployment: int
    open: OpenDiagnosis | None = None
    diagnosed_until: datetime | None = None
    requested: bool = False
    version: int = 0


_VIEW = TypeAdapter(ModelView)


class KnownModels:
    """Model views in the document store, changed by compare-and-set."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    async def get(self, model: str) -> ModelView | None:
        document = await self._documents.get(COLLECTION, model)
        return _VIEW.validate_python(document) if document else None

    async def all(self) -> list[ModelView]:
        return [_VIEW.validate_python(d) for d in await self._documents.find(COLLECTION, {})]

    async def deployed(self, models: Iterable[str]) -> Mapping[str, DeployedModel]:
        """What is deployed of these models; unknown ones are left out."""
        views = [await self.get(model) for model in sorted(models)]
        return {view.deployed.name: view.deployed for view in views if view}

    async def heard(self, deployed: DeployedModel, deployment: int, at: datetime) -> None:
        """Remember a deployment of time ``at``, unless a newer one is known.

        Only failures from then on count: what an operator rolled back to must not be improved
        again at once, from the same failures.
        """
        view = await self.get(deployed.name)
        if view is None:
            first = ModelView(deployed, deployment)
            if not await self._documents.insert(COLLECTION, _document(first)):
                raise Conflict(f"model {deployed.name} was first heard of by another process")
        elif deployment > view.deployment:
            await self.save(
                replace(view, deployed=deployed, deployment=deployment, diagnosed_until=at)
            )

    async def save(self, view: ModelView) -> None:
        """Store a changed view. Raises Conflict when somebody else changed it first."""
        await self._documents.replace(COLLECTION, _document(view))


def _document(view: ModelView) -> dict[str, object]:
    return {**_VIEW.dump_python(view, mode="json"), "_id": view.deployed.name}
