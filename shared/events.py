"""Every message, in pipeline order, each naming its topic.

Facts are in the past tense. The Kafka key is the model's name, so one model's events stay in order.
Messages carry ids, references and digests, never data sets or weights. Unknown fields are ignored,
an unknown ``schema_version`` is refused.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from shared.domain.answer_form import AnswerForm
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import EvaluationReport
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel
from shared.domain.patterns import Character, Remedy, RootCause, Standing
from shared.domain.pipeline import DataSpec, Recipe
from shared.domain.survey import MOST, Surveyed
from shared.domain.tasks import Task
from shared.domain.traces import Verdict

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Endpoint = Annotated[
    str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$", max_length=500)
]


class Event(BaseModel):
    """What all messages share. ``id`` is derived from the cause: a repeat has the same id."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    topic: ClassVar[str]

    schema_version: Literal[1] = 1
    id: Id
    model: Name


# Serving → diagnoser


class TraceLogged(Event):
    """A request that serving answered. ``reference`` is the right output where serving knows it."""

    topic: ClassVar[str] = "inference.traces"
    model_version: int = Field(ge=0)
    input: str = Field(min_length=0)
    output: str
    confidence: float | None = Field(default=None, ge=0, le=1)
    reference: str | None = None
    occurred_at: datetime
    metadata: dict[str, str] = Field(default_factory=dict, max_length=64)

    @field_validator("reference")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return (value or "").strip() or None


class FeedbackGiven(Event):
    """A judgement of one trace. ``human`` supersedes every automatic judgement.

    ``corrector`` names who or what judged, so that two voices can be told apart.
    """

    topic: ClassVar[str] = "inference.feedback"
    trace_id: Id
    verdict: Verdict
    corrected_output: str | None = Field(default=None, max_length=20_000)
    human: bool = False
    reason: str = Field(default="", max_length=4_000)
    corrector: str | None = Field(default=None, max_length=200)

    @field_validator("corrected_output", "corrector")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return (value or "").strip() or None


# Operators → services


class ModelRegistered(Event):
    """A model that is already in production and shall be improved from now on.

    ``endpoint``: where it answers over HTTP, for probes; ``{endpoint}/classify`` is asked.
    """

    topic: ClassVar[str] = "model.registered"
    task: Task
    base_model: str
    adapter: ArtifactRef
    training_set: ArtifactRef | None = None
    evaluation_set: ArtifactRef | None = None
    endpoint: Endpoint | None = None


class TaskSubmitted(Event):
    """A model that does not exist yet shall be trained: a cold start (paper §2.5).

    ``rows`` and ``test`` are files of JSON lines as their owner wrote them, ``data_set`` is a name
    in the catalogue; without either a chat model writes the rows. ``labels`` are the only ones
    there are, where given; ``kind`` is decided from rows and description, where it is not, and
    ``base_model`` by the kind. ``form``: how written answers are asked for and scored. ``survey``:
    what others reached, the best of which is the ``target`` where none is given.
    """

    topic: ClassVar[str] = "task.submitted"
    description: str = Field(min_length=1, max_length=4_000)
    base_model: str | None = Field(default=None, min_length=1, max_length=1_000)
    rows: ArtifactRef | None = None
    test: ArtifactRef | None = None
    data_set: str | None = Field(default=None, max_length=200)
    labels: tuple[str, ...] = Field(default=(), max_length=1_000)
    kind: str | None = Field(default=None, max_length=100)
    form: AnswerForm | None = None
    target: float | None = Field(default=None, gt=0, le=1)
    survey: tuple[Surveyed, ...] = Field(default=(), max_length=MOST)

    @property
    def run_id(self) -> str:
        """The run that it asks for; a repeat asks for the same."""
        return derive_id("run", self.id)


class ImprovementRequested(Event):
    """Diagnose what failed so far, without waiting for the thresholds."""

    topic: ClassVar[str] = "improvement.requested"


class RollbackRequested(Event):
    """Put an earlier version back; without ``to_version`` the one deployed before."""

    topic: ClassVar[str] = "rollback.requested"
    to_version: int | None = Field(default=None, ge=1)
    reason: str = "requested by an operator"


class TraceReleased(Event):
    """A human took a trace out of quarantine: it may be learned from, whatever triage says."""

    topic: ClassVar[str] = "trace.released"
    trace_id: Id
    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=4_000)


# Synthesizer → controller: a cold start


class TaskPrepared(Event):
    """A submitted task has rows to learn from and a locked set to be measured on; a run may begin.

    ``material`` is a folder: ``rows.jsonl`` and ``task.json``. ``evaluation_set`` was built before
    anything else and is never learned from; its ``parts`` are counted by name. ``baseline`` is the
    share of it that a model of word counts has right, ``target`` what shall be reached, and
    ``target_from`` in words what that comes from. ``dropped`` counts the given rows that are not
    learned from, by reason: near-duplicates of the locked set are.
    """

    topic: ClassVar[str] = "task.prepared"
    run_id: Id
    submission: Id
    description: str
    task: Task
    base_model: str
    material: ArtifactRef
    evaluation_set: ArtifactRef
    rows: int = Field(ge=1)
    parts: dict[str, int]
    source: str
    baseline: float
    target: float = Field(gt=0, le=1)
    target_from: str = ""
    dropped: dict[str, int] = Field(default_factory=dict)


class TaskRefused(Event):
    """A submitted task cannot be started; ``reason`` names what is wrong and the remedy."""

    topic: ClassVar[str] = "task.refused"
    run_id: Id
    submission: Id
    reason: str


# Diagnoser → controller


class PatternSummary(BaseModel):
    """An error pattern in a line, for people who watch the topic."""

    id: str = ""
    name: str
    size: int
    share: float
    cause: RootCause = RootCause.UNCLEAR
    character: Character | None = None
    standing: Standing = Standing.UNTESTED


class FailuresDiagnosed(Event):
    """Failures of the deployed version, grouped and split; a run may begin.

    ``diagnosis`` is a folder: ``patterns.json``, ``repair.jsonl``, ``passes.jsonl`` and
    ``embeddings.npy`` (rows: repair, then passes). ``evaluation_set`` holds the held-out failures
    and the regression set. ``quarantined`` of the ``failures`` are poison. Nothing can be learned
    when ``repair`` or ``heldout`` is 0; the evaluation set may be empty then. ``remedies`` are
    cheapest first, each failure counted for one of them. ``material``: rows that a training set may
    be composed of; 0 where that was not counted.
    """

    topic: ClassVar[str] = "failures.diagnosed"
    deployed_version: int
    diagnosis: ArtifactRef
    evaluation_set: ArtifactRef
    failures: int = Field(ge=1)
    repair: int = Field(ge=0)
    heldout: int = Field(ge=0)
    regression: int = Field(ge=0)
    quarantined: int = Field(default=0, ge=0)
    material: int = Field(default=0, ge=0)
    patterns: tuple[PatternSummary, ...]
    remedies: tuple[Remedy, ...] = ()
    inference_seconds: float = 0.0


# The iteration: controller → synthesizer → trainer → verifier → controller


class Candidate(BaseModel):
    """A trained adapter, ready to be verified.

    Entities below ``threshold`` are not named. ``calibrated``: the deployed model itself with
    another threshold; nothing was trained, and the recipe says nothing.
    """

    model_config = ConfigDict(frozen=True)
    id: Id
    recipe: Recipe
    adapter: ArtifactRef
    train_seconds: float
    threshold: float = 0.0
    calibrated: bool = False

    @property
    def name(self) -> str:
        """A short readable name, for reports."""
        name = "calibrate only" if self.calibrated else self.recipe.name
        return f"{name} threshold {self.threshold:g}" if self.threshold else name


class IterationRequested(Event):
    """Train these recipes on a training set composed as D from this diagnosis.

    ``twins``: where D holds the held-out failures, a candidate of each recipe made without them.
    """

    topic: ClassVar[str] = "iteration.requested"
    run_id: Id
    iteration: int
    deployed: DeployedModel
    diagnosis: ArtifactRef
    evaluation_set: ArtifactRef
    data: DataSpec
    recipes: tuple[Recipe, ...]
    move: str
    twins: tuple[Candidate, ...] = ()


class Composition(BaseModel):
    """How a training set came out: rows by role and label, and what the controls took out."""

    rows: int
    gold: int
    hard: int
    replay: int
    labels: int
    dropped: dict[str, int] = Field(default_factory=dict)


class TrainingSetSynthesized(Event):
    """A training set is ready; ``manifest`` says why each of its rows is in."""

    topic: ClassVar[str] = "trainingset.synthesized"
    run_id: Id
    iteration: int
    deployed: DeployedModel
    evaluation_set: ArtifactRef
    training_set: ArtifactRef
    manifest: ArtifactRef
    composition: Composition
    recipes: tuple[Recipe, ...]
    twins: tuple[Candidate, ...] = ()


class TrainingProgressed(Event):
    """For those who watch: how far one candidate's training is."""

    topic: ClassVar[str] = "training.progressed"
    run_id: Id
    iteration: int
    candidate: Id
    recipe: str
    step: int
    steps: int
    loss: float | None = None


class CandidatesTrained(Event):
    """At least one candidate was trained; ``failed`` names the others and why.

    ``composition`` is that of the training set.
    """

    topic: ClassVar[str] = "candidates.trained"
    run_id: Id
    iteration: int
    deployed: DeployedModel
    evaluation_set: ArtifactRef
    training_set: ArtifactRef
    candidates: tuple[Candidate, ...]
    failed: dict[str, str] = Field(default_factory=dict)
    twins: tuple[Candidate, ...] = ()
    composition: Composition | None = None


class CandidateVerdict(BaseModel):
    """The gate's verdict of one candidate. ``outcome`` names the verdict type."""

    model_config = ConfigDict(frozen=True)
    candidate: Candidate
    outcome: Literal["admitted", "regressed", "not_better", "unusable"]
    reason: str
    report: EvaluationReport | None


class CandidatesVerified(Event):
    """Every candidate of an iteration has a verdict.

    ``composition`` and ``failed`` are those of the trained candidates' event.
    """

    topic: ClassVar[str] = "candidates.verified"
    run_id: Id
    iteration: int
    training_set: ArtifactRef
    verdicts: tuple[CandidateVerdict, ...]
    inference_seconds: float
    composition: Composition | None = None
    failed: dict[str, str] = Field(default_factory=dict)


class StepFailed(Event):
    """A step of an iteration cannot be done; the run ends with this reason."""

    topic: ClassVar[str] = "step.failed"
    run_id: Id
    iteration: int
    step: Literal["synthesize", "train", "verify"]
    reason: str

    @classmethod
    def after(
        cls,
        cause: "IterationRequested | TrainingSetSynthesized | CandidatesTrained",
        *,
        step: Literal["synthesize", "train", "verify"],
        reason: str,
    ) -> "StepFailed":
        """The failure of the step that ``cause`` asked for; the same cause gives the same id."""
        return cls(
            id=derive_id(f"{step}-failed", cause.run_id, cause.iteration),
            model=cause.model,
            run_id=cause.run_id,
            iteration=cause.iteration,
            step=step,
            reason=reason,
        )


# Controller → serving and ops


class ModelPromoted(Event):
    """Serve this version from now on. Also published when a model is first registered."""

    topic: ClassVar[str] = "model.promoted"
    deployed: DeployedModel
    deployment: int
    run_id: Id | None
    reason: str
    occurred_at: datetime


class ModelRolledBack(Event):
    """Serve this earlier version again from now on."""

    topic: ClassVar[str] = "model.rolled_back"
    deployed: DeployedModel
    deployment: int
    from_version: int
    reason: str
    occurred_at: datetime


class RunClosed(Event):
    """A run has ended. ``declined`` runs never began: another one was active.

    ``not_trained``: training is not the remedy, ``reason`` says what is.
    """

    topic: ClassVar[str] = "run.closed"
    run_id: Id
    diagnosis_event: Id
    outcome: Literal["promoted", "not_promoted", "not_trained", "failed", "declined"]
    reason: str
    iterations: int
    seconds: float


EVENTS: tuple[type[Event], ...] = (
    TraceLogged,
    FeedbackGiven,
    ModelRegistered,
    TaskSubmitted,
    ImprovementRequested,
    RollbackRequested,
    TraceReleased,
    TaskPrepared,
    TaskRefused,
    FailuresDiagnosed,
    IterationRequested,
    TrainingSetSynthesized,
    TrainingProgressed,
    CandidatesTrained,
    CandidatesVerified,
    StepFailed,
    ModelPromoted,
    ModelRolledBack,
    RunClosed,
)

TOPICS: tuple[str, ...] = tuple(event.topic for event in EVENTS)


def dead_letter_topic(topic: str) -> str:
    """Where messages of a topic go that can never be handled."""
    return f"{topic}.dlq"
