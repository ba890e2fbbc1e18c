"""The states of a run, each a type with just what is known in it; ``kind`` tells them in JSON."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from services.controller.domain.decision import Iterate, Move
from shared.domain.pipeline import DataSpec, Recipe
from shared.events import Candidate


@dataclass(frozen=True, slots=True)
class Iterating:
    """An iteration was asked for. When its outcome is recorded, a decision is due."""

    iteration: int
    data: DataSpec
    recipes: tuple[Recipe, ...]
    move: Move
    reason: str
    origins: tuple[tuple[str, ...], ...] = ()
    twins: tuple[Candidate, ...] = ()
    kind: Literal["iterating"] = "iterating"


@dataclass(frozen=True, slots=True)
class Promoted:
    candidate_id: str
    version: int
    reason: str
    ended_at: datetime
    kind: Literal["promoted"] = "promoted"


@dataclass(frozen=True, slots=True)
class NotPromoted:
    reason: str
    ended_at: datetime
    kind: Literal["not_promoted"] = "not_promoted"


@dataclass(frozen=True, slots=True)
class NotTrained:
    """Training is not the remedy: ``reason`` says what is. No iteration was asked for."""

    reason: str
    ended_at: datetime
    kind: Literal["not_trained"] = "not_trained"


@dataclass(frozen=True, slots=True)
class Failed:
    """A step could not be done."""

    reason: str
    ended_at: datetime
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Declined:
    """The run never began: another one was active, or its diagnosis was out of date."""

    reason: str
    kind: Literal["declined"] = "declined"


Ending = Promoted | NotPromoted | Failed
NeverBegun = NotTrained | Declined
State = Annotated[Iterating | Ending | NeverBegun, Field(discriminator="kind")]


def asked(iteration: int, plan: Iterate) -> Iterating:
    """The state of a run whose iteration is to be done as planned."""
    return Iterating(
        iteration, plan.data, plan.recipes, plan.move, plan.reason, plan.origins, plan.twins
    )
