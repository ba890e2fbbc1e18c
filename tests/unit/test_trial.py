"""Candidates that name entities on trial: which threshold they are judged at, and by whose word."""

from dataclasses import replace

import pytest

from services.verifier.domain.evaluation import EvaluationSets
from services.verifier.predictions import Said
from services.verifier.trial import DEPLOYED, Trial
from shared.domain.artifacts import ArtifactRef
from shared.domain.entities import Entity, SeenEntity, write_answer
from shared.domain.entity_errors import Hits
from shared.domain.evaluation import Admitted, Limits, Regressed, Unusable
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import EvalPart, EvalRow
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput
from shared.events import Candidate, CandidatesTrained

TEXT = "Ada met Alan"
ADA, ALAN = Entity(0, 3, "PER"), Entity(8, 12, "PER")
FAILURES, PASSES = ("f1", "f2", "f3", "f4"), ("p1", "p2", "p3", "p4")
REF = ArtifactRef("file:///adapter", "0" * 64)
RECIPE = Recipe(Hyperparameters("base", 2e-4), Strategy(Method.FULL))
MODEL = DeployedModel(
    "names",
    Task(TaskKind.NER, ("PER",)),
    ModelVersion(1, REF, "base", None, None, None, None),
    (),
)
# Right is Ada alone in a failure, and nobody in a pass.
ROWS = [
    *(EvalRow(r, TEXT, write_answer([ADA], TEXT), EvalPart.HELDOUT, False) for r in FAILURES),
    *(EvalRow(r, TEXT, "[]", EvalPart.REGRESSION, True) for r in PASSES),
]


def candidate(id_: str) -> Candidate:
    return Candidate(id=id_, recipe=RECIPE, adapter=REF, train_seconds=1.0)


def said(ada: float, alan: float, passes: float = 0.0) -> Said:
    """What a model saw with these probabilities; what is likelier than not it named."""
    seen = {row: [SeenEntity(ADA, ada), SeenEntity(ALAN, alan)] for row in FAILURES}
    seen |= {row: [SeenEntity(ADA, passes)] for row in PASSES}
    named = {
        row: write_answer([one.entity for one in found if one.probability >= 0.5], TEXT)
        for row, found in seen.items()
    }
    return Said(named, seen)


def trial(*twins: Candidate, **models: Said) -> Trial:
    event = CandidatesTrained(
        id="trained",
        model="names",
        run_id="run",
        iteration=1,
        deployed=MODEL,
        evaluation_set=REF,
        training_set=REF,
        candidates=(candidate("again"),),
        twins=twins,
    )
    sets = EvaluationSets(current=ROWS, earlier={})
    # The deployed model is so unsure of all that no threshold makes it say anything.
    deployed = {DEPLOYED: said(0.1, 0.1)}
    return Trial(event, sets, deployed | models, broken={}, limits=Limits())


def test_it_is_judged_at_the_threshold_that_keeps_what_it_should_not_name_quiet() -> None:
    [(judged, verdict)] = trial(again=said(0.97, 0.75, passes=0.7)).verdicts()
    assert judged.threshold == 0.8
    assert isinstance(verdict, Admitted)
    assert verdict.report.heldout.right_after == len(FAILURES)
    assert verdict.report.regressions == 0


def test_what_is_named_of_each_type_is_counted_on_all_that_was_asked() -> None:
    # Both are named in failures, where Ada alone is right, and Ada in passes, where nobody is.
    [(_, verdict)] = trial(again=said(0.99, 0.99, passes=0.99)).verdicts()
    assert not isinstance(verdict, Unusable)
    [per] = verdict.report.types
    assert (per.type, per.hits) == ("PER", Hits(hit=4, found=12, right=4))
    assert (per.hits.precision, per.hits.recall) == (1 / 3, 1.0)


def test_held_out_failures_that_it_learned_are_swept_and_judged_by_its_twin_s_word() -> None:
    learned, twin = said(0.99, 0.1), said(0.85, 0.7)
    [(judged, verdict)] = trial(candidate("twin"), again=learned, twin=twin).verdicts()
    assert judged.threshold == 0.8
    assert isinstance(verdict, Admitted)
    assert "score is that of twin" in verdict.report.warnings[-1]
    [(_, refused)] = trial(candidate("twin"), again=learned, twin=said(0.3, 0.3)).verdicts()
    assert not isinstance(refused, Admitted | Regressed)


@pytest.mark.parametrize("row", [FAILURES[0], PASSES[0]])
def test_a_row_without_an_answer_is_named_and_not_taken_for_silence(row: str) -> None:
    whole = said(0.97, 0.75)
    partly = replace(
        whole,
        outputs={id_: output for id_, output in whole.outputs.items() if id_ != row},
        seen={id_: found for id_, found in whole.seen.items() if id_ != row},
    )
    with pytest.raises(BadInput, match=row):
        list(trial(again=partly).verdicts())


def test_a_deployment_that_needs_no_more_than_a_threshold_is_a_candidate_itself() -> None:
    found = list(trial(again=said(0.1, 0.1), deployed=said(0.97, 0.75)).verdicts())
    (_, refused), (calibrated, verdict) = found
    assert not isinstance(refused, Admitted)
    assert (calibrated.calibrated, calibrated.threshold) == (True, 0.8)
    assert isinstance(verdict, Admitted)
