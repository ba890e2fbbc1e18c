"""One improvement run: from a diagnosis through its iterations to an end.

Events come late and twice, so a transition that does not apply is an answer, not an error:
``Ignored`` carries the run as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.controller.domain.decision import Admission, Iterate
from services.controller.domain.outcome import IterationOutcome, judged
from services.controller.domain.states import (
    Declined,
    Ending,
    Iterating,
    NeverBegun,
    NotTrained,
    Promoted,
    State,
    asked,
)
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel
from shared.domain.patterns import Remedy
from shared.errors import BadInput
from shared.events import CandidatesVerified, FailuresDiagnosed, PatternSummary, StepFailed


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is stored. ``id`` is derived from the diagnosis: a repeat finds the same run.

    The run of a cold start has a submitted task for its diagnosis, and the ``target`` of that:
    ``target_from`` says what it comes from, ``dropped`` what of its rows is not learned from, by
    reason. ``hour_price`` is that of its beginning: whoever reads
    the run may not have the controller's settings.
    """

    id: str
    model: str
    diagnosis_event: str
    deployed: DeployedModel
    diagnosis: ArtifactRef
    evaluation_set: ArtifactRef
    started_at: datetime
    state: State
    iterations: tuple[IterationOutcome, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    material: int = 0
    patterns: tuple[PatternSummary, ...] = ()
    target: float | None = None
    target_from: str = ""
    dropped: Mapping[str, int] = field(default_factory=dict)
    hour_price: float = 0.0

    @property
    def decision_due(self) -> bool:
        """The asked-for iteration is verified and nobody has decided how to go on."""
        due = self.state.iteration if isinstance(self.state, Iterating) else None
        return due is not None and due == len(self.iterations)

    @property
    def admitted(self) -> tuple[Admission, ...]:
        return tuple(found for outcome in self.iterations for found in outcome.admitted)

    @property
    def last_duration(self) -> timedelta:
        """How long the last iteration took; zero before the first."""
        marks = [self.started_at, *(outcome.verified_at for outcome in self.iterations)]
        return marks[-1] - marks[-2] if len(marks) > 1 else timedelta(0)


@dataclass(frozen=True, slots=True)
class Advanced:
    run: Run


@dataclass(frozen=True, slots=True)
class Ignored:
    """It does not apply; ``run`` is unchanged."""

    run: Run
    reason: str


Transition = Advanced | Ignored


def begin(event: FailuresDiagnosed, deployed: DeployedModel, plan: Iterate, now: datetime) -> Run:
    """A run in its first iteration, or Declined when another version is deployed by now."""
    stale = why_stale(event, deployed)
    if stale is not None:
        return decline(event, deployed, stale, now)
    return _new(event, deployed, asked(1, plan), now)


def decline(event: FailuresDiagnosed, deployed: DeployedModel, reason: str, now: datetime) -> Run:
    """A run that never begins."""
    return _new(event, deployed, Declined(reason), now)


def leave_untrained(
    event: FailuresDiagnosed, deployed: DeployedModel, reason: str, now: datetime
) -> Run:
    """A run that ends before its first iteration: training is not the remedy.

    Declined when another version is deployed by now: what helps that one is not known.
    """
    stale = why_stale(event, deployed)
    if stale is not None:
        return decline(event, deployed, stale, now)
    return _new(event, deployed, NotTrained(reason, now), now)


def why_stale(event: FailuresDiagnosed, deployed: DeployedModel) -> str | None:
    """Why a diagnosis says nothing of what is deployed now, or None."""
    if event.deployed_version == deployed.version.number:
        return None
    return (
        f"diagnosis is of version {event.deployed_version}, "
        f"version {deployed.version.number} is deployed by now"
    )


def record_verdicts(run: Run, event: CandidatesVerified, now: datetime) -> Transition:
    """The outcome of the iteration asked for. Raises BadInput when a verdict contradicts itself."""
    late = why_late(run, event)
    if late or not isinstance(run.state, Iterating):
        return Ignored(run, late or "")
    outcome = IterationOutcome(
        iteration=event.iteration,
        data=run.state.data,
        recipes=run.state.recipes,
        move=run.state.move,
        training_set=event.training_set,
        judged=tuple(judged(verdict) for verdict in event.verdicts),
        inference_seconds=event.inference_seconds,
        verified_at=now,
        reason=run.state.reason,
        origins=run.state.origins,
        composition=event.composition,
        failed=event.failed,
    )
    return Advanced(replace(run, iterations=(*run.iterations, outcome)))


def iterate(run: Run, plan: Iterate) -> Transition:
    """Ask for the next iteration once the last one is verified."""
    if not run.decision_due:
        return Ignored(run, f"run {run.id} has no verified iteration to go on from")
    return Advanced(replace(run, state=asked(len(run.iterations) + 1, plan)))


def close(run: Run, ending: Ending) -> Transition:
    """End a run once. Raises BadInput for a promotion of what its gate did not admit."""
    if not isinstance(run.state, Iterating):
        return Ignored(run, f"run {run.id} has ended as {run.state.kind}")
    if isinstance(ending, Promoted) and ending.candidate_id not in {
        admission.candidate.id for admission in run.admitted
    }:
        raise BadInput(
            f"candidate {ending.candidate_id!r} was not admitted in run {run.id}: "
            "close it as not promoted"
        )
    return Advanced(replace(run, state=ending))


def why_late(run: Run, event: CandidatesVerified | StepFailed) -> str | None:
    """Why an event of an iteration no longer concerns the run, or None when it does."""
    if event.run_id != run.id:
        return f"event is of run {event.run_id}, not of {run.id}"
    if not isinstance(run.state, Iterating):
        return f"run {run.id} has ended as {run.state.kind}"
    if event.iteration != run.state.iteration:
        return f"run {run.id} is in iteration {run.state.iteration}, not in {event.iteration}"
    if run.decision_due:
        return f"iteration {event.iteration} of run {run.id} is verified already"
    return None


def _new(
    event: FailuresDiagnosed, deployed: DeployedModel, state: Iterating | NeverBegun, now: datetime
) -> Run:
    if event.model != deployed.name:
        raise BadInput(
            f"diagnosis {event.id} is of model {event.model!r}, not of {deployed.name!r}: "
            "begin it with the model it names"
        )
    return Run(
        id=derive_id("run", event.id),
        model=event.model,
        diagnosis_event=event.id,
        deployed=deployed,
        diagnosis=event.diagnosis,
        evaluation_set=event.evaluation_set,
        started_at=now,
        state=state,
        remedies=event.remedies,
        material=event.material,
        patterns=event.patterns,
    )
