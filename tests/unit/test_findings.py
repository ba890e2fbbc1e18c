"""What a diagnosis finds in real texts, and what must never be learned from or leak."""

import random
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest

from services.diagnoser.domain.findings import Findings, SplitPolicy, diagnose
from services.diagnoser.domain.traffic import Traffic
from shared.domain.near_duplicates import NearDuplicateIndex
from shared.domain.rows import EvalPart
from shared.domain.triage import Family, TriageKind
from tests.unit.desk_traffic import (
    LABELS,
    clean_rows,
    planted,
    traffic_of,
    trusted_rows,
    vectors_of,
)

POLICY = SplitPolicy()
FORMAT = ", keep it short"


@cache
def of_poisoned() -> tuple[Traffic, Findings]:
    traffic, _ = planted(16)
    return traffic, diagnose(traffic, POLICY)


@cache
def of_noisy() -> tuple[Traffic, Findings]:
    """Every second pass asks for a format; a third of these have a failing twin that does not."""
    failures, passes = clean_rows()
    noisy = [replace(row, text=row.text.rstrip(".?!") + FORMAT) for row in passes[::2]]
    failing = [
        replace(failures[at], text=row.text, corrected=row.corrected, output=other(row.corrected))
        for at, row in enumerate(passes[::6])
    ]
    failures = [*failing, *failures[len(failing) :]]
    traffic = traffic_of(failures, [*noisy, *passes[1::2]], trusted_rows())
    return traffic, diagnose(traffic, POLICY)


def other(label: str) -> str:
    return LABELS[(LABELS.index(label) + 1) % len(LABELS)]


@pytest.mark.parametrize("found", [of_poisoned, of_noisy])
def test_nothing_quarantined_is_learned_from_or_measured(
    found: Callable[[], tuple[Traffic, Findings]],
) -> None:
    _, findings = found()
    measured = (findings.heldout, findings.regression, findings.on_loan)
    parts = (findings.repair, *measured, findings.pool)
    verdicts = findings.triaged.verdicts
    assert all(parts)
    assert {verdicts[row.id].kind for part in parts for row in part} == {TriageKind.FIXABLE}
    ids = {row.id for part in parts for row in part}
    assert not any(id_.startswith("x-") for id_ in ids)
    sources = {probe.source for probe in findings.probes}
    trusted = {row.id for row in trusted_rows()}
    assert {verdicts[id_].kind for id_ in sources - trusted} == {TriageKind.FIXABLE}


def test_every_failure_is_counted_once() -> None:
    traffic, findings = of_poisoned()
    external = findings.triaged.count(traffic.failures, TriageKind.EXTERNAL)
    assert findings.failures == len(traffic.failures)
    assert findings.failures == findings.learnable + findings.quarantined + external
    learned = sorted(row.id for row in (*findings.repair, *findings.heldout))
    assert learned == sorted(row.id for row in findings.triaged.learnable(traffic.failures))
    members = [member for pattern in findings.patterns for member in pattern.members]
    assert sorted(members) == sorted(row.id for row in traffic.failures)


def test_what_is_trained_on_is_far_from_what_is_measured() -> None:
    for _, findings in (of_poisoned(), of_noisy()):
        measured = NearDuplicateIndex(findings.measured_texts())
        trained = [row.text for row in (*findings.repair, *findings.pool, *findings.made)]
        trained += [probe.text for probe in findings.probes]
        assert not any(measured.match_each(trained))


def test_nothing_made_is_near_an_earlier_evaluation_text() -> None:
    traffic, before = of_noisy()
    earlier = [before.made[0].text.upper(), before.probes[0].text + "!"]
    after = diagnose(traffic, POLICY, measured=earlier)
    made = [row.text for row in (*after.made, *after.probes)]
    assert not any(NearDuplicateIndex(earlier).match_each(made))
    assert len(after.made) == len(before.made) - 1
    assert after.probes


def test_clean_forms_have_the_text_without_its_noise_and_the_same_answer() -> None:
    traffic, findings = of_noisy()
    trained = {row.id: row for row in (*findings.repair, *findings.pool)}
    assert len(findings.made) > 10
    for made in findings.made:
        parent = next(row for id_, row in trained.items() if f"trace {id_} " in made.reason)
        assert made.target == parent.corrected
        assert parent.text == f"{made.text.rstrip('.?!')}{FORMAT}"
        assert made.source == "clean form"
    assert len({row.id for row in findings.made} | {r.id for r in traffic.judged}) == len(
        findings.made
    ) + len(traffic.judged)


def test_the_shares_of_noise_are_those_of_the_traffic() -> None:
    traffic, findings = of_noisy()
    learnable = findings.triaged.learnable(traffic.judged)
    asked = sum(row.text.endswith(FORMAT) for row in learnable)
    assert findings.noise[Family.FORMAT_REQUEST] == pytest.approx(asked / len(learnable), abs=0.02)
    assert all(0 < share <= 1 for share in findings.noise.values())
    assert Family.FORMAT_REQUEST not in of_poisoned()[1].noise


@pytest.mark.parametrize("passing", [108, 5_000])
def test_the_weights_of_evaluation_rows_add_up_to_the_traffic(passing: int) -> None:
    _, findings = of_poisoned()
    rows = findings.evaluation_rows(passing=passing)
    weight = {part: sum(row.weight for row in rows if row.part is part) for part in EvalPart}
    assert weight[EvalPart.HELDOUT] == pytest.approx(findings.learnable, abs=1e-3)
    guarding = weight[EvalPart.REGRESSION] + weight[EvalPart.ON_LOAN]
    assert guarding == pytest.approx(passing, abs=1e-2)
    assert [row.right_before for row in rows] == [row.part is not EvalPart.HELDOUT for row in rows]
    measured = [row.id for row in (*findings.heldout, *findings.regression, *findings.on_loan)]
    assert [row.id for row in rows] == measured


def test_half_of_few_failures_are_held_out() -> None:
    assert POLICY.held_of(POLICY.few - 1) == 0.5
    assert POLICY.held_of(POLICY.few) == POLICY.heldout_share
    assert replace(POLICY, heldout_share=0.7).held_of(1) == 0.7


def test_each_held_out_failure_names_its_pattern() -> None:
    _, findings = of_poisoned()
    members = {pattern.id: set(pattern.members) for pattern in findings.patterns}
    for row in findings.evaluation_rows(passing=100):
        if row.part is EvalPart.HELDOUT:
            assert row.id in members[row.pattern]
        else:
            assert row.pattern == ""


def test_repair_rows_name_their_pattern_and_have_their_vector() -> None:
    _, findings = of_poisoned()
    members = {pattern.id: pattern.members for pattern in findings.patterns}
    rows = findings.repair_rows()
    assert all(row.id in members[row.pattern] for row in rows)
    assert [row.id for row in rows] == [trace.id for trace in findings.repair]
    texts = [row.text for row in (*rows, *findings.pool_rows())]
    assert np.array_equal(findings.vectors, vectors_of(texts))


def test_findings_do_not_depend_on_the_order_of_the_rows() -> None:
    traffic, plain = of_poisoned()
    rng = random.Random(3)
    shuffled = diagnose(
        traffic_of(
            rng.sample(traffic.failures, len(traffic.failures)),
            rng.sample(traffic.passes, len(traffic.passes)),
            rng.sample(traffic.trusted, len(traffic.trusted)),
        ),
        POLICY,
    )
    assert shuffled.triaged.verdicts == plain.triaged.verdicts
    assert np.array_equal(shuffled.vectors, plain.vectors)
    for name in {field.name for field in fields(Findings)} - {"triaged", "vectors"}:
        assert getattr(shuffled, name) == getattr(plain, name), name


def test_rows_in_order_keep_their_vectors_and_probabilities() -> None:
    traffic, _ = planted(0)
    rows = len(traffic.vectors)
    probabilities = np.random.default_rng(1).random((rows, len(LABELS))).astype(np.float32)
    traffic = replace(traffic, probabilities=probabilities)
    ordered = traffic.in_order()
    before = [*traffic.judged, *traffic.trusted]
    after = [*ordered.judged, *ordered.trusted]
    place = {row.id: at for at, row in enumerate(before)}
    assert ordered.probabilities is not None
    for at, row in enumerate(after):
        assert np.array_equal(ordered.vectors[at], traffic.vectors[place[row.id]])
        assert np.array_equal(ordered.probabilities[at], probabilities[place[row.id]])
    assert [row.id for row in ordered.failures] == sorted(row.id for row in traffic.failures)


def test_traffic_with_nothing_to_learn_from_has_nothing_to_train_on() -> None:
    traffic, _ = planted(0)
    poison = [row for row in traffic.failures if row.id.startswith("x-")]
    findings = diagnose(traffic_of(poison, traffic.passes, traffic.trusted), POLICY)
    assert (findings.learnable, findings.quarantined) == (0, len(poison))
    assert not findings.repair
    assert not findings.heldout
    assert not findings.probes
    guarded = findings.evaluation_rows(passing=100)
    assert EvalPart.HELDOUT not in {row.part for row in guarded}
    assert len(findings.vectors) == len(findings.pool)
