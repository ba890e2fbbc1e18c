"""Runs, plans and verdicts in few words, for the tests of the controller's domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.controller.domain.decision import Iterate
from services.controller.domain.policy import first_plan
from services.controller.domain.run import Advanced, Run, begin, iterate, record_verdicts
from services.controller.domain.states import Iterating
from services.verifier.domain.gates import explain, judge
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import EvaluationReport, Limits, SetReport
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.pipeline import Method, Recipe
from shared.domain.tasks import Task, TaskKind
from shared.events import Candidate, CandidatesVerified, CandidateVerdict, FailuresDiagnosed

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIMITS = Limits()
HELDOUT = 100


def ref(name: str) -> ArtifactRef:
    return ArtifactRef(f"file:///{name}", f"{name:0<64}"[:64])


PARENT = ref("parent")


def a_model(*, version: int = 1, training_set: ArtifactRef | None = PARENT) -> DeployedModel:
    return DeployedModel(
        name="intent",
        task=Task(TaskKind.CLASSIFICATION, ("book", "cancel", "greet")),
        version=ModelVersion(version, ref("adapter"), "minilm", training_set, None, None, None),
        earlier_evaluations=(),
    )


def a_diagnosis(*, id_: str = "diagnosis-1", version: int = 1) -> FailuresDiagnosed:
    return FailuresDiagnosed(
        id=id_,
        model="intent",
        deployed_version=version,
        diagnosis=ref("diagnosis"),
        evaluation_set=ref("evaluation"),
        failures=150,
        repair=50,
        heldout=HELDOUT,
        regression=60,
        patterns=(),
    )


def a_plan(*, training_set: ArtifactRef | None = PARENT) -> Iterate:
    return first_plan(a_model(training_set=training_set), failures=150, repair=50)


def a_run(plan: Iterate | None = None) -> Run:
    return begin(a_diagnosis(), a_model(), plan or a_plan(), START)


@dataclass(frozen=True)
class Result:
    """What the world makes of one recipe: held-out rows right of 100, and rows broken.

    ``loads`` False: the adapter is corrupt.
    """

    right: int
    broken: int = 0
    broken_earlier: int = 0
    loads: bool = True


def a_report(candidate: str, result: Result) -> EvaluationReport:
    def passing(name: str, broken: int) -> SetReport:
        return SetReport(name, 60, 60, 60 - broken, tuple(f"{name}-{i}" for i in range(broken)))

    return EvaluationReport(
        candidate=candidate,
        heldout=SetReport("heldout", HELDOUT, 0, result.right, ()),
        regression=passing("regression", result.broken),
        earlier=(passing("v1", result.broken_earlier),),
        mcnemar_p=0.01,
    )


def a_verdict(run: Run, iteration: int, recipe: Recipe, result: Result) -> CandidateVerdict:
    """The verdict the real gate gives."""
    id_ = derive_id("candidate", run.id, iteration, recipe.digest)
    # A blend costs no training of its own.
    seconds = 0.0 if recipe.strategy.blended else 1.0
    candidate = Candidate(id=id_, recipe=recipe, adapter=ref(id_[:8]), train_seconds=seconds)
    if not result.loads:
        return CandidateVerdict(
            candidate=candidate, outcome="unusable", reason="corrupt", report=None
        )
    verdict = judge(a_report(id_, result), LIMITS)
    return CandidateVerdict(
        candidate=candidate,
        outcome=verdict.kind,
        reason=explain(verdict),
        report=a_report(id_, result),
    )


def verified(run: Run, results: Sequence[Result]) -> CandidatesVerified:
    """The verdicts of the iteration the run is in, LoRA first; a blend is as good as its whole."""
    assert isinstance(run.state, Iterating)
    number, recipes = run.state.iteration, run.state.recipes
    of = dict(zip(trainings(recipes), results, strict=True))
    return CandidatesVerified(
        id=derive_id("verified", run.id, number),
        model=run.model,
        run_id=run.id,
        iteration=number,
        training_set=ref(f"training-{number}"),
        verdicts=tuple(a_verdict(run, number, recipe, of[recipe.training]) for recipe in recipes),
        inference_seconds=2.0,
    )


def recorded(run: Run, *results: Result, now: datetime = START) -> Run:
    transition = record_verdicts(run, verified(run, results), now)
    assert isinstance(transition, Advanced)
    return transition.run


def iterated(run: Run, plan: Iterate) -> Run:
    transition = iterate(run, plan)
    assert isinstance(transition, Advanced)
    return transition.run


def trainings(recipes: Sequence[Recipe]) -> list[Recipe]:
    """The recipes that are trained: a blend is made of one of them."""
    return list(dict.fromkeys(recipe.training for recipe in recipes))


def methods(recipes: Sequence[Recipe]) -> list[Method]:
    return [recipe.strategy.method for recipe in trainings(recipes)]
