"""The diagnoser's handlers, where topics have no common order."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from services.diagnoser.handlers import DiagnoserHandlers
from services.diagnoser.models import ModelView
from shared.domain.artifacts import ArtifactRef
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.tasks import Task, TaskKind
from shared.errors import UnknownThing
from shared.events import ImprovementRequested

DEPLOYED = DeployedModel(
    "intent",
    Task(TaskKind.CLASSIFICATION, ("a", "b")),
    ModelVersion(1, ArtifactRef("file:///adapter", "0" * 64), "base", None, None, None, None),
    (),
)
REQUEST = ImprovementRequested(id="ask", model="intent")


class Models:
    """Knows the model from the given look on."""

    def __init__(self, known_from: int) -> None:
        self._known_from = known_from
        self._looks = 0
        self.saved: list[ModelView] = []

    async def get(self, name: str) -> ModelView | None:
        self._looks += 1
        known = name == "intent" and self._looks >= self._known_from
        return ModelView(DEPLOYED, 1) if known else None

    async def save(self, view: ModelView) -> None:
        self.saved.append(view)


def asked(models: Models, *, patience_s: float) -> None:
    nothing: Any = None
    handlers = DiagnoserHandlers(
        nothing,
        models,  # pyright: ignore[reportArgumentType]
        lambda: datetime(2026, 3, 1, tzinfo=UTC),
        patience_s=patience_s,
    )
    asyncio.run(handlers.on_improvement_requested(REQUEST))


def test_a_request_that_overtook_its_registration_is_kept() -> None:
    models = Models(known_from=3)
    asked(models, patience_s=1.0)
    assert [view.requested for view in models.saved] == [True]


def test_a_request_for_a_model_that_nobody_registers_is_refused() -> None:
    models = Models(known_from=99)
    with pytest.raises(UnknownThing, match="'intent' is not registered: register it first"):
        asked(models, patience_s=0.2)
    assert models.saved == []
