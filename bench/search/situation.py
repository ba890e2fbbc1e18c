"""What every strategy begins with: a first model, and the diagnosis of what it failed on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.search.case import Case
from bench.search.workshop import Workshop
from examples.demo.production import BASE_MODEL, SEED_RECIPE
from services.diagnoser import diagnosis_files
from services.diagnoser.domain.confirmation import error_rates
from services.diagnoser.domain.findings import Findings, SplitPolicy, diagnose
from services.diagnoser.domain.traffic import Traffic
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import Limits
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.traces import JudgedTrace, Verdict, VerdictSource
from shared.errors import PermanentError
from shared.events import FailuresDiagnosed
from shared.job_specs import FailedCandidate


@dataclass(frozen=True, slots=True)
class Situation:
    """The deployed model and the diagnosis of its log; ``before``: its answers by request id."""

    deployed: DeployedModel
    event: FailuresDiagnosed
    before: Mapping[str, str]


def diagnosed(case: Case, workshop: Workshop, limits: Limits) -> Situation:
    """Train the first model, serve the log, correct it truthfully, diagnose it, ask the probes."""
    deployed = _first_model(case, workshop)
    adapter = deployed.version.adapter
    outputs = workshop.answers(adapter, [row.text for row in case.requests])
    traffic = _traffic(case, outputs, workshop, adapter)
    found = diagnose(traffic, SplitPolicy(epsilon=limits.epsilon))
    event = _event(case, deployed, found, workshop, passing=len(traffic.passes))
    said = workshop.answers(adapter, [probe.text for probe in found.probes])
    event = diagnosis_files.finish(
        workshop.artifacts,
        event,
        dict(zip((probe.id for probe in found.probes), said, strict=True)),
        usual_errors=error_rates(
            found.triaged.learnable(traffic.failures), found.triaged.learnable(traffic.passes)
        ),
        epsilon=limits.epsilon,
        traffic=lambda: traffic,
    )
    before = dict(zip((row.id for row in case.requests), outputs, strict=True))
    return Situation(deployed, event, before)


def _first_model(case: Case, workshop: Workshop) -> DeployedModel:
    task = Task(TaskKind.CLASSIFICATION, case.labels)
    rows = workshop.artifacts.put(dump_rows(case.first), name="training.jsonl")
    seeded = replace(SEED_RECIPE.hyperparameters, seed=case.seed)
    (first,) = workshop.train(task, rows, [replace(SEED_RECIPE, hyperparameters=seeded)], None)
    if isinstance(first, FailedCandidate):
        raise PermanentError(f"the first model of {case.name!r} failed: {first.reason}")
    version = ModelVersion(1, first.adapter, BASE_MODEL, rows, None, None, None)
    return DeployedModel(case.name, task, version, earlier_evaluations=())


def _traffic(
    case: Case, outputs: Sequence[str], workshop: Workshop, adapter: ArtifactRef
) -> Traffic:
    traces = list(_judged(case.requests, outputs))
    failures = [trace for trace in traces if trace.verdict is Verdict.FAIL]
    passes = [trace for trace in traces if trace.verdict is Verdict.PASS]
    texts = [row.text for row in (*failures, *passes, *case.first)]
    vectors, probabilities = workshop.read(adapter, texts)
    return Traffic(case.labels, failures, passes, case.first, vectors, probabilities)


def _judged(requests: Sequence[Row], outputs: Sequence[str]) -> Iterator[JudgedTrace]:
    for row, output in zip(requests, outputs, strict=True):
        verdict = Verdict.PASS if output == row.target else Verdict.FAIL
        yield JudgedTrace(
            row.id, row.text, output, verdict, row.target, source=VerdictSource.FEEDBACK
        )


def _event(
    case: Case, deployed: DeployedModel, found: Findings, workshop: Workshop, *, passing: int
) -> FailuresDiagnosed:
    artifacts = workshop.artifacts
    asked = dump_rows(found.evaluation_rows(passing=passing))
    return FailuresDiagnosed(
        id=derive_id("search-diagnosis", case.name, case.seed),
        model=deployed.name,
        deployed_version=deployed.version.number,
        diagnosis=diagnosis_files.write(artifacts, found),
        evaluation_set=artifacts.put(asked, name="evaluation.jsonl"),
        failures=found.failures,
        repair=len(found.repair),
        heldout=len(found.heldout),
        regression=len(found.regression),
        quarantined=found.quarantined,
        material=found.material,
        patterns=diagnosis_files.summaries(found.patterns, {}),
        remedies=found.remedies,
    )
