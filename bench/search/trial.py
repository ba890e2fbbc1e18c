"""One strategy in one situation: compose, train, judge and decide until the run ends.

The synthesizer's, the verifier's and the controller's own code, without the services around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.search.situation import Situation
from bench.search.strategies import Way
from bench.search.workshop import Workshop
from services.controller.domain.decision import Iterate, Promote, Stop
from services.controller.domain.run import (
    Advanced,
    Run,
    Transition,
    begin,
    iterate,
    record_verdicts,
)
from services.controller.domain.states import Iterating
from services.controller.messages import iteration_requested
from services.synthesizer.domain.curriculum import compose
from services.synthesizer.domain.enrichment import enrich
from services.synthesizer.inputs import read_inputs
from services.trainer.domain.plan import candidate_id
from services.verifier.domain.evaluation import EvaluationSets, evaluate
from services.verifier.domain.gates import explain, judge
from shared.domain.evaluation import Limits
from shared.domain.ids import derive_id
from shared.domain.rows import EvalRow, TrainingRow, dump_rows, load_rows
from shared.events import (
    Candidate,
    CandidatesVerified,
    CandidateVerdict,
    IterationRequested,
)
from shared.job_specs import FailedCandidate, TrainedCandidate
from shared.ports import ArtifactStore
from shared.tasks import behaviour

# The clock stands still: trainings alone end a run.
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that ended, and with what."""

    run: Run
    decision: Promote | Stop


def improved(way: Way, situation: Situation, workshop: Workshop, limits: Limits) -> Ended:
    """Follow a strategy to its end."""
    run = begin(situation.event, situation.deployed, way.first(), NOW)
    while True:
        run = _advanced(record_verdicts(run, _verified(run, situation, workshop, limits), NOW))
        decision = way.go_on(run)
        if not isinstance(decision, Iterate):
            return Ended(run, decision)
        run = _advanced(iterate(run, decision))


def _advanced(transition: Transition) -> Run:
    if not isinstance(transition, Advanced):
        raise RuntimeError(f"run {transition.run.id} does not go on: {transition.reason}")
    return transition.run


def _verified(
    run: Run, situation: Situation, workshop: Workshop, limits: Limits
) -> CandidatesVerified:
    """The iteration that a run asks for, done."""
    if not isinstance(run.state, Iterating):
        raise RuntimeError(f"run {run.id} asks for no iteration, it is {run.state.kind}")
    asked = iteration_requested(run, run.state)
    rows = _composed(workshop.artifacts, asked)
    training_set = workshop.artifacts.put(dump_rows(rows), name="training.jsonl")
    version = run.deployed.version
    outcomes = workshop.train(run.deployed.task, training_set, asked.recipes, version.adapter)
    bench = load_rows(workshop.artifacts.get(run.evaluation_set), EvalRow)
    verdicts: list[CandidateVerdict] = []
    failed: dict[str, str] = {}
    for outcome in outcomes:
        id_ = candidate_id(run.id, training_set.sha256, outcome.recipe.digest)
        if isinstance(outcome, FailedCandidate):
            failed[id_] = f"{outcome.recipe.name}: {outcome.reason}"
        else:
            candidate = _candidate(id_, outcome)
            verdicts.append(_judged(candidate, bench, situation, workshop, limits))
    return CandidatesVerified(
        id=derive_id("verified", run.id, asked.iteration),
        model=run.model,
        run_id=run.id,
        iteration=asked.iteration,
        training_set=training_set,
        verdicts=tuple(verdicts),
        inference_seconds=0.0,
        failed=failed,
    )


def _composed(artifacts: ArtifactStore, asked: IterationRequested) -> tuple[TrainingRow, ...]:
    """The training set of an iteration, as the synthesizer composes it without a chat model."""
    inputs = read_inputs(artifacts, asked)
    curriculum = compose(
        inputs.failures,
        inputs.passes,
        inputs.vectors,
        inputs.parent,
        asked.data,
        evaluation_texts=inputs.measured,
        task=behaviour(asked.deployed.task),
    )
    return enrich(
        curriculum, inputs.made, inputs.noise, asked.data, evaluation_texts=inputs.measured
    ).rows


def _candidate(id_: str, trained: TrainedCandidate) -> Candidate:
    return Candidate(
        id=id_,
        recipe=trained.recipe,
        adapter=trained.adapter,
        train_seconds=trained.train_seconds,
    )


def _judged(
    candidate: Candidate,
    rows: Sequence[EvalRow],
    situation: Situation,
    workshop: Workshop,
    limits: Limits,
) -> CandidateVerdict:
    said = workshop.answers(candidate.adapter, [row.text for row in rows])
    answers = dict(zip((row.id for row in rows), said, strict=True))
    before = {row.id: situation.before[row.id] for row in rows}
    sets = EvaluationSets(current=rows, earlier={})
    report = evaluate(candidate.id, sets, answers, before, limits=limits)
    verdict = judge(report, limits)
    return CandidateVerdict(
        candidate=candidate, outcome=verdict.kind, reason=explain(verdict), report=report
    )
