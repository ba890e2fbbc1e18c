"""The deployment's figures: who counts as a failure, as unseen, as learned."""

from dataclasses import replace

import pytest

from bench.deployment.figures import Broken, Fixed, figures
from bench.deployment.story import Answers, Told, Triaged
from bench.deployment.traffic import Deployment, Request, Setting, build
from examples.demo.workload import SAMPLE, Example
from shared.domain.evaluation import EvaluationReport, SetReport
from shared.domain.rows import EvalPart, EvalRow, Role, TrainingRow
from shared.errors import BadInput

REQUESTS = (
    Request("failed and learned", "a", "a"),
    Request("failed, unseen, fixed", "a", "a"),
    Request("failed, unseen, still wrong", "b", "b"),
    Request("passed and learned", "b", "b"),
    Request("passed, asked by the gate", "b", "b"),
    Request("passed, broken", "a", "a"),
    Request("wrong reference", "a", "b"),
)
BEFORE = ("b", "b", "a", "b", "b", "a", "a")
AFTER = ("a", "a", "a", "b", "b", "b", "a")
DEPLOYMENT = Deployment(
    "desk", 1, ("a", "b"), (), REQUESTS, (Example("one", "a"), Example("two", "b"))
)


def learned(request: Request, target: str) -> TrainingRow:
    return TrainingRow(request.id, request.text.upper(), target, Role.GOLD, "failure", "")


def asked(request: Request, part: EvalPart) -> EvalRow:
    right = part is EvalPart.REGRESSION
    return EvalRow(request.id, request.text, request.truth, part, right_before=right)


TOLD = Told(
    before=Answers(BEFORE, ("a", "a")),
    after=Answers(AFTER, ("b", "b")),
    promoted=True,
    reason="",
    recipe=None,
    iterations=1,
    trained=(learned(REQUESTS[0], "a"), learned(REQUESTS[3], "b")),
    measured=(asked(REQUESTS[1], EvalPart.HELDOUT), asked(REQUESTS[4], EvalPart.REGRESSION)),
    triage={REQUESTS[6].id: Triaged("external", "wrong_reference")},
    seconds=1.0,
)


def test_failures_and_passes_are_told_apart_by_what_was_trained_on() -> None:
    found = figures(DEPLOYMENT, TOLD)
    assert found.pass_rate == pytest.approx(3 / 7, abs=1e-4)
    assert found.paper_failures == Fixed(3, 2, 0.6667)
    assert found.heldout_failures == Fixed(0, 0, 0.0)
    assert found.unseen_failures == Fixed(2, 1, 0.5)
    assert found.paper_passes == Broken(3, 1, 66.67)
    assert found.unseen_passes == Broken(2, 1, 100.0)
    assert found.ungated_passes == Broken(1, 1, 200.0)
    assert (found.test_accuracy_before, found.test_accuracy_after) == (0.5, 0.5)
    assert found.test_passes == Broken(1, 1, 200.0)


def test_held_out_failures_are_counted_by_the_gate_whose_twin_did_not_learn_them() -> None:
    heldout = SetReport("heldout", total=8, right_before=0, right_after=6, regressed=())
    report = EvaluationReport("c1", heldout, SetReport("regression", 4, 4, 4, ()), (), 0.5)
    learned_too = replace(TOLD, report=report, trained=(*TOLD.trained, learned(REQUESTS[1], "a")))
    assert figures(DEPLOYMENT, learned_too).heldout_failures == Fixed(8, 6, 0.75)


def test_a_planted_reference_counts_as_reported_only_when_its_label_was_doubted() -> None:
    def planted(family: str | None, kind: str) -> tuple[int, int]:
        told = replace(TOLD, triage={REQUESTS[6].id: Triaged(kind, family)})
        found = figures(DEPLOYMENT, told).planted
        return found.reported, found.kept_out

    assert planted("wrong_reference", "external") == (1, 1)
    assert planted("label_flip", "poison") == (1, 1)
    assert planted("off_domain", "poison") == (0, 1)
    assert planted(None, "fixable") == (0, 0)


def test_a_planted_reference_is_learned_when_its_text_is_trained_with_the_wrong_label() -> None:
    for target, count in (("b", 1), ("a", 0)):
        told = replace(TOLD, trained=(learned(REQUESTS[6], target),))
        assert figures(DEPLOYMENT, told).planted.learned == count


def test_sound_references_that_were_doubted_are_counted() -> None:
    told = replace(TOLD, triage={REQUESTS[0].id: Triaged("poison", "label_flip")})
    found = figures(DEPLOYMENT, told).planted
    assert (found.reported, found.falsely_reported) == (0, 1)


SETTING = Setting(confusable=True, first_rows=5, intents=8, requests=150, planted=6)


def test_a_deployment_plants_wrong_references_and_shows_nobody_the_test() -> None:
    found = build(SAMPLE, "desk", SETTING, seed=3, parts=("train.jsonl",))
    assert len(found.labels) == 8
    assert len(found.first) == 40
    assert sum(request.planted for request in found.requests) == 6
    assert {request.reference for request in found.requests} <= set(found.labels)
    texts = {r.text for r in found.requests} | {e.text for e in found.first}
    assert not texts & {example.text for example in found.test}
    assert found == build(SAMPLE, "desk", SETTING, seed=3, parts=("train.jsonl",))
    assert found != build(SAMPLE, "desk", SETTING, seed=4, parts=("train.jsonl",))


def test_too_few_rows_to_serve_are_refused() -> None:
    with pytest.raises(BadInput, match="give the whole data set"):
        build(SAMPLE, "desk", replace(SETTING, requests=10_000), seed=3, parts=("train.jsonl",))
