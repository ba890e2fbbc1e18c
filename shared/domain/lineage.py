"""Where a deployed model came from: its base, its training set, its evaluation sets."""

from dataclasses import dataclass

from shared.domain.artifacts import ArtifactRef
from shared.domain.tasks import Task

# What stands for the weights of a model that has none yet: no store holds it.
NO_WEIGHTS = ArtifactRef("none:", "0" * 64)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One checkpoint of a model. ``number`` counts from 1; a version never changes.

    0 is no checkpoint: a model that is to be trained for the first time from ``base_model``.
    """

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

    @property
    def trained(self) -> bool:
        """Whether anything is served: a model that starts cold has no weights and no answers."""
        return self.version.number > 0


def untrained(name: str, task: Task, base_model: str) -> DeployedModel:
    """What a cold start begins from (paper §2.5)."""
    version = ModelVersion(
        number=0,
        adapter=NO_WEIGHTS,
        base_model=base_model,
        training_set=None,
        evaluation_set=None,
        heldout_score=None,
        run_id=None,
    )
    return DeployedModel(name, task, version, earlier_evaluations=())
