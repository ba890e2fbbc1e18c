"""Work for the compute plane: a JSON spec in, a JSON result and artifacts out.

A spec carries references only. ``shared.jobs`` runs it inside Ray; this module stays free of torch
so that services can speak of work without being able to do it.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from shared.domain.artifacts import ArtifactRef
from shared.domain.pipeline import Recipe
from shared.domain.tasks import Task


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EmbedSpec(_Frozen):
    """Embed the ``text`` of every row of a JSONL artifact; with ``adapter`` also classify it.

    Without ``base_model`` the adapter's own encoder embeds, in the same pass.
    """

    kind: Literal["embed"] = "embed"
    base_model: str | None = None
    adapter: ArtifactRef | None = None
    texts: ArtifactRef

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if self.base_model is None and self.adapter is None:
            raise ValueError("base_model and adapter are both missing: give at least one")
        return self


class EmbedResult(_Frozen):
    """Matrices in .npy, a row for each text in order.

    ``embeddings``: float32 [rows, dim], L2-normalised. ``probabilities``: float16 [rows, labels],
    softmax in the order of the task's labels; None without an adapter that answers with labels.
    """

    kind: Literal["embed"] = "embed"
    embeddings: ArtifactRef
    probabilities: ArtifactRef | None = None
    inference_seconds: float = 0.0


class CandidateSpec(_Frozen):
    """One configuration to train; the id is derived from the run, the iteration and the recipe."""

    id: str
    recipe: Recipe


class TrainSpec(_Frozen):
    """Train every candidate from its base model on one training set, in parallel.

    ``parent`` is the deployed adapter; only strategies that keep to its answers read it.
    """

    kind: Literal["train"] = "train"
    task: Task
    training_set: ArtifactRef
    parent: ArtifactRef | None = None
    candidates: tuple[CandidateSpec, ...]


class TrainedCandidate(_Frozen):
    """A trained adapter (a folder artifact, safetensors only) and what it cost.

    ``warning`` says what of the training set was not learned; empty when all was.
    """

    id: str
    recipe: Recipe
    adapter: ArtifactRef
    final_loss: float
    train_seconds: float
    examples_per_second: float
    warning: str = ""


class FailedCandidate(_Frozen):
    id: str
    recipe: Recipe
    reason: str


class TrainResult(_Frozen):
    kind: Literal["train"] = "train"
    trained: tuple[TrainedCandidate, ...]
    failed: tuple[FailedCandidate, ...]


class ModelSpec(_Frozen):
    """A model to evaluate: an adapter on its base; ``adapter.json`` inside names the base model."""

    id: str
    adapter: ArtifactRef


class EvaluateSpec(_Frozen):
    """Predict every row of every set with every model. Rows are JSONL with ``id`` and ``text``."""

    kind: Literal["evaluate"] = "evaluate"
    models: tuple[ModelSpec, ...]
    sets: tuple[ArtifactRef, ...]


class EvaluateResult(_Frozen):
    """``predictions``: JSONL of ``model``, ``id``, ``output``, ``confidence`` for each pair.

    Models that name entities add ``seen``: each entity's ``start``, ``end``, ``type`` and
    ``probability``, also of those below their threshold. Those whose code is run add ``graded``:
    by each target of the row, whether the output passes its tests.

    ``broken`` maps a model's id to the reason it could not be loaded.
    """

    kind: Literal["evaluate"] = "evaluate"
    predictions: ArtifactRef
    broken: dict[str, str] = Field(default_factory=dict)
    inference_seconds: float


class MergeSpec(_Frozen):
    """Make an adapter whole: merged into its base, for servers that load no adapters."""

    kind: Literal["merge"] = "merge"
    adapter: ArtifactRef


class MergeResult(_Frozen):
    """The same model as a folder artifact of whole weights."""

    kind: Literal["merge"] = "merge"
    model: ArtifactRef


class CandidateProgress(_Frozen):
    """How far one training is; written often, so that a watcher can report it."""

    candidate: str
    step: int
    steps: int
    loss: float | None = None


JobSpec = Annotated[EmbedSpec | TrainSpec | EvaluateSpec | MergeSpec, Field(discriminator="kind")]
JobResult = Annotated[
    EmbedResult | TrainResult | EvaluateResult | MergeResult, Field(discriminator="kind")
]

JOB_SPEC: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)
JOB_RESULT: TypeAdapter[JobResult] = TypeAdapter(JobResult)
