"""Events in one line each, for people who watch."""

from functools import singledispatch

from shared.events import (
    CandidatesTrained,
    CandidatesVerified,
    Event,
    FailuresDiagnosed,
    ImprovementRequested,
    IterationRequested,
    ModelPromoted,
    ModelRegistered,
    ModelRolledBack,
    RollbackRequested,
    RunClosed,
    StepFailed,
    TaskPrepared,
    TaskRefused,
    TaskSubmitted,
    TraceReleased,
    TrainingProgressed,
    TrainingSetSynthesized,
)


@singledispatch
def narrate(event: Event) -> str:
    """What an event says, in one line."""
    return event.topic


@narrate.register
def _(event: ModelRegistered) -> str:
    return f"registered: {len(event.task.labels)} labels on {event.base_model}"


@narrate.register
def _(event: TaskSubmitted) -> str:
    return f"to be started: {event.description!r} on {event.base_model}"


@narrate.register
def _(event: TaskPrepared) -> str:
    parts = ", ".join(f"{count} {part}" for part, count in event.parts.items())
    origin = f", from {event.target_from}" if event.target_from else ""
    dropped = ", ".join(f"{count} {reason}" for reason, count in event.dropped.items())
    without = f" (taken out: {dropped})" if dropped else ""
    return (
        f"{event.task.kind.value} of {len(event.task.labels)} labels: {event.rows} rows of "
        f"{event.source} to learn{without}, locked set of {parts}; counting words reaches "
        f"{event.baseline:.3f}, the target is {event.target:g}{origin}"
    )


@narrate.register
def _(event: TaskRefused) -> str:
    return f"cannot be started: {event.reason}"


@narrate.register
def _(event: ImprovementRequested) -> str:
    return "improvement requested"


@narrate.register
def _(event: RollbackRequested) -> str:
    target = f"version {event.to_version}" if event.to_version else "the version before"
    return f"rollback to {target} requested: {event.reason}"


@narrate.register
def _(event: TraceReleased) -> str:
    return f"trace {event.trace_id} released by {event.by}: {event.reason}"


@narrate.register
def _(event: FailuresDiagnosed) -> str:
    top = "; ".join(f"{p.name} ({p.size})" for p in event.patterns[:3])
    whole = f"{event.failures} failures of version {event.deployed_version}"
    poison = f", {event.quarantined} of them poison," if event.quarantined else ""
    cures = ", ".join(f"{r.kind.value.replace('_', ' ')} ({r.failures})" for r in event.remedies)
    remedies = f" | remedies: {cures}" if cures else ""
    return f"{whole}{poison} in {len(event.patterns)} patterns: {top}{remedies}"


@narrate.register
def _(event: IterationRequested) -> str:
    names = ", ".join(recipe.name for recipe in event.recipes)
    return f"iteration {event.iteration}: {event.move} [{names}]"


@narrate.register
def _(event: TrainingSetSynthesized) -> str:
    c = event.composition
    return f"training set of {c.rows} rows: {c.gold} gold, {c.hard} hard, {c.replay} replay"


@narrate.register
def _(event: TrainingProgressed) -> str:
    loss = "" if event.loss is None else f", loss {event.loss:.3f}"
    return f"training {event.recipe}: step {event.step} of {event.steps}{loss}"


@narrate.register
def _(event: CandidatesTrained) -> str:
    failed = "".join(f"; failed: {reason}" for reason in event.failed.values())
    return f"{len(event.candidates)} candidates trained{failed}"


@narrate.register
def _(event: CandidatesVerified) -> str:
    return " | ".join(f"{v.candidate.name}: {v.reason}" for v in event.verdicts)


@narrate.register
def _(event: StepFailed) -> str:
    return f"iteration {event.iteration} could not {event.step}: {event.reason}"


@narrate.register
def _(event: ModelPromoted) -> str:
    return f"version {event.deployed.version.number} is in production: {event.reason}"


@narrate.register
def _(event: ModelRolledBack) -> str:
    version = event.deployed.version.number
    return f"rolled back from version {event.from_version} to {version}: {event.reason}"


@narrate.register
def _(event: RunClosed) -> str:
    ended = f"run {event.run_id[:8]} ended as {event.outcome} after {event.seconds:.0f} s"
    return f"{ended}: {event.reason}"
