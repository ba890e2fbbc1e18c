"""Where a deployed model came from: its base, its training set, its evaluation sets."""

from dataclasses import dataclass

from shared.domain.artifacts import ArtifactRef
from shared.domain.tasks import Task


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One checkpoint of a model. ``number`` counts from 1; a version never changes."""

    number: int
    adapter: ArtifactRef
    base_model: str
    training_set: ArtifactRef | None
    evaluation_set: ArtifactRef | None
    heldout_score: float | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class DeployedModel:
    """What serving should run now, and all an improvement needs to know of its parent.

    ``earlier_evaluations`` are the evaluation sets of every checkpoint so far, oldest first: the
    gate holds a candidate to all of them. ``endpoint`` is where the model answers over HTTP.
    """

    name: str
    task: Task
    version: ModelVersion
    earlier_evaluations: tuple[ArtifactRef, ...]
    endpoint: str | None = None
