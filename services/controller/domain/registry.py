"""The model registry: every version and every deployment of a model, append-only.

Transitions are pure and idempotent by ``cause``, the id of the event or run that asked for them.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from shared.domain.artifacts import ArtifactRef
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.tasks import Task
from shared.errors import BadInput, UnknownThing
from shared.events import ModelRegistered

DeploymentKind = Literal["registered", "promoted", "rolled_back"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """From ``at`` on ``version`` was served; ``number`` counts from 1."""

    number: int
    version: int
    at: datetime
    reason: str
    cause: str
    kind: DeploymentKind


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model's whole history. Never empty: the last deployment is what is served now."""

    name: str
    task: Task
    versions: tuple[ModelVersion, ...]
    deployments: tuple[Deployment, ...]
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An admitted candidate on its way to become a version."""

    adapter: ArtifactRef
    base_model: str
    training_set: ArtifactRef | None
    evaluation_set: ArtifactRef
    heldout_score: float
    run_id: str


def register(record: ModelRecord | None, event: ModelRegistered, now: datetime) -> ModelRecord:
    """A model already in production becomes version 1; the same content again changes nothing.

    Raises BadInput when the name is taken by other content.
    """
    first = ModelVersion(
        number=1,
        adapter=event.adapter,
        base_model=event.base_model,
        training_set=event.training_set,
        evaluation_set=event.evaluation_set,
        heldout_score=None,
        run_id=None,
    )
    if record is None:
        deployment = Deployment(1, 1, now, "registered", event.id, "registered")
        return ModelRecord(event.model, event.task, (first,), (deployment,), event.endpoint)
    same = (record.task, record.versions[0], record.endpoint) == (event.task, first, event.endpoint)
    if _applied(record, event.id) or same:
        return record
    raise BadInput(
        f"model {record.name!r} is registered with other content: register under another name"
    )


def found(
    name: str, task: Task, checkpoint: Checkpoint, *, cause: str, reason: str, now: datetime
) -> ModelRecord:
    """The record of a model whose first version a cold start made; it is served from now on."""
    first = _version(1, checkpoint)
    deployment = Deployment(1, 1, now, reason, cause, "promoted")
    return ModelRecord(name, task, (first,), (deployment,))


def promote(
    record: ModelRecord, checkpoint: Checkpoint, *, cause: str, reason: str, now: datetime
) -> ModelRecord:
    """The checkpoint becomes the next version and is served."""
    if _applied(record, cause):
        return record
    version = _version(record.versions[-1].number + 1, checkpoint)
    grown = replace(record, versions=(*record.versions, version))
    return _deploy(grown, version.number, "promoted", cause=cause, reason=reason, now=now)


def roll_back(
    record: ModelRecord, to_version: int | None, *, cause: str, reason: str, now: datetime
) -> ModelRecord:
    """Serve ``to_version`` again, or without it the version deployed before.

    Raises UnknownThing for a version that does not exist, BadInput when nothing came before or
    the version is served already.
    """
    if _applied(record, cause):
        return record
    numbers = [version.number for version in record.versions]
    target = _version_before(record) if to_version is None else to_version
    if target not in numbers:
        raise UnknownThing(
            f"model {record.name!r} has no version {target}: choose one of {numbers}"
        )
    if target == _served(record):
        raise BadInput(
            f"version {target} of model {record.name!r} is served already: "
            f"choose another one of {numbers}"
        )
    return _deploy(record, target, "rolled_back", cause=cause, reason=reason, now=now)


def aliases(record: ModelRecord) -> dict[str, int]:
    """``production``: the version served; ``previous``: where a rollback leads, if anywhere."""
    trail = _trail(record)
    names = {"production": trail[-1]}
    return names | {"previous": trail[-2]} if len(trail) > 1 else names


def deployed(record: ModelRecord) -> DeployedModel:
    """What is served now, with the evaluation sets of all versions so far, oldest first."""
    sets = (version.evaluation_set for version in record.versions)
    return DeployedModel(
        name=record.name,
        task=record.task,
        version=next(v for v in record.versions if v.number == _served(record)),
        earlier_evaluations=tuple(dict.fromkeys(found for found in sets if found is not None)),
        endpoint=record.endpoint,
    )


def _version(number: int, checkpoint: Checkpoint) -> ModelVersion:
    return ModelVersion(
        number=number,
        adapter=checkpoint.adapter,
        base_model=checkpoint.base_model,
        training_set=checkpoint.training_set,
        evaluation_set=checkpoint.evaluation_set,
        heldout_score=checkpoint.heldout_score,
        run_id=checkpoint.run_id,
    )


def _applied(record: ModelRecord, cause: str) -> bool:
    return any(deployment.cause == cause for deployment in record.deployments)


def _served(record: ModelRecord) -> int:
    return record.deployments[-1].version


def _deploy(
    record: ModelRecord,
    version: int,
    kind: DeploymentKind,
    *,
    cause: str,
    reason: str,
    now: datetime,
) -> ModelRecord:
    deployment = Deployment(len(record.deployments) + 1, version, now, reason, cause, kind)
    return replace(record, deployments=(*record.deployments, deployment))


def _trail(record: ModelRecord) -> list[int]:
    """The versions one would walk back through; those rolled back from are no longer on it."""
    trail: list[int] = []
    for deployment in record.deployments:
        # A second rollback must go further back, not return to what was rolled back.
        if deployment.version in trail:
            del trail[trail.index(deployment.version) :]
        trail.append(deployment.version)
    return trail


def _version_before(record: ModelRecord) -> int:
    trail = _trail(record)
    if len(trail) < 2:
        raise BadInput(
            f"model {record.name!r} has no version deployed before version {trail[-1]}: "
            "name the one to serve in to_version"
        )
    return trail[-2]
