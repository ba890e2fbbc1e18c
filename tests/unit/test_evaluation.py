"""Counting what a candidate repaired and broke, beside the deployed model."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain.evaluation import EvaluationSets, evaluate
from services.verifier.domain.power import mcnemar_p
from shared.domain.evaluation import PatternReport
from shared.domain.rows import EvalPart, EvalRow
from shared.errors import BadInput

HELDOUT, REGRESSION, ON_LOAN = EvalPart.HELDOUT, EvalPart.REGRESSION, EvalPart.ON_LOAN


def row(id_: str, part: EvalPart, *, right_before: bool | None = None) -> EvalRow:
    recorded = part is REGRESSION if right_before is None else right_before
    return EvalRow(id=id_, text=f"text {id_}", target="yes", part=part, right_before=recorded)


def current(*rows: EvalRow) -> EvaluationSets:
    return EvaluationSets(current=rows, earlier={})


def test_parts_are_counted_apart() -> None:
    sets = current(row("f1", HELDOUT), row("f2", HELDOUT), row("p1", REGRESSION))
    report = evaluate("c", sets, {"f1": "yes", "f2": "no", "p1": "no"}, None)
    assert report.candidate == "c"
    assert (report.heldout.total, report.heldout.right_before, report.heldout.right_after) == (
        2,
        0,
        1,
    )
    assert report.regression.regressed == ("p1",)
    assert report.score == 0.5


def test_the_deployed_model_s_fresh_answer_supersedes_what_production_recorded() -> None:
    sets = current(row("f1", HELDOUT), row("f2", HELDOUT), row("p1", REGRESSION))
    now = {"f1": "yes", "f2": "yes", "p1": "no"}
    report = evaluate("c", sets, now, {"f1": "yes", "p1": "no"})
    assert report.heldout.right_before == 1
    assert report.regression.right_before == 0
    assert report.regression.regressed == ()


def test_a_heldout_failure_right_by_now_can_be_lost() -> None:
    report = evaluate("c", current(row("f1", HELDOUT)), {"f1": "no"}, {"f1": "yes"})
    assert report.heldout.regressed == ("f1",)


def test_missing_prediction_names_row_and_set() -> None:
    sets = EvaluationSets(current=[row("f1", HELDOUT)], earlier={"v1": [row("old", REGRESSION)]})
    with pytest.raises(BadInput, match=r"'c'.*'old'.*'v1'"):
        evaluate("c", sets, {"f1": "yes"}, None)


def test_rows_of_an_earlier_set_that_were_wrong_before_cannot_regress() -> None:
    earlier = {"v1": [row("a", HELDOUT), row("b", REGRESSION)]}
    sets = EvaluationSets(current=[row("f1", HELDOUT)], earlier=earlier)
    report = evaluate("c", sets, dict.fromkeys(("f1", "a", "b"), "no"), None)
    (v1,) = report.earlier
    assert (v1.name, v1.total, v1.regressed) == ("v1", 2, ("b",))


def test_a_row_in_two_sets_counts_in_each_but_is_one_observation() -> None:
    shared = row("p1", REGRESSION)
    sets = EvaluationSets(current=[shared], earlier={"v1": [shared], "v2": [shared]})
    report = evaluate("c", sets, {"p1": "no"}, None)
    assert [s.regressions for s in (report.regression, *report.earlier)] == [1, 1, 1]
    assert report.mcnemar_p == mcnemar_p(1, 0)


def test_held_out_failures_are_counted_by_their_pattern() -> None:
    rows = [replace(row(id_, HELDOUT), pattern=id_[0]) for id_ in ("a1", "a2", "b1")]
    sets = current(*rows, row("c1", HELDOUT), row("p1", REGRESSION))
    now = {"a1": "yes", "a2": "no", "b1": "yes", "c1": "yes", "p1": "yes"}
    report = evaluate("c", sets, now, {"b1": "yes"})
    assert report.patterns == (PatternReport("a", 2, 0, 1), PatternReport("b", 1, 1, 1))


def test_the_judge_decides_what_is_right() -> None:
    sets = current(row("f1", HELDOUT))
    strict = evaluate("c", sets, {"f1": "YES"}, None)
    lenient = evaluate("c", sets, {"f1": "YES"}, None, is_right=lambda o, t: o.lower() == t)
    assert (strict.score, lenient.score) == (0.0, 1.0)


def test_small_and_empty_sets_are_warned_of() -> None:
    report = evaluate("c", current(row("p1", REGRESSION)), {"p1": "yes"}, None)
    assert any("'regression' has 1 rows" in warning for warning in report.warnings)
    assert any("no held-out failures" in warning for warning in report.warnings)
    many = [row(f"p{i}", REGRESSION) for i in range(200)] + [row("f", HELDOUT)]
    assert evaluate("c", current(*many), {r.id: "yes" for r in many}, None).warnings == ()


answers = st.sampled_from(["yes", "no"])


@given(st.lists(st.tuples(st.sampled_from(EvalPart), answers, answers), min_size=1))
def test_counts_balance(drawn: list[tuple[EvalPart, str, str]]) -> None:
    rows = [row(str(i), part) for i, (part, _, _) in enumerate(drawn)]
    before = {str(i): b for i, (_, b, _) in enumerate(drawn)}
    after = {str(i): a for i, (_, _, a) in enumerate(drawn)}
    report = evaluate("c", current(*rows), after, before)
    both = [s for s in (report.heldout, report.regression, report.on_loan) if s]
    assert sum(s.total for s in both) == len(rows)
    broken = sum(s.regressions for s in both)
    repaired = sum(s.right_after - s.right_before + s.regressions for s in both)
    assert broken == sum(b == "yes" != a for _, b, a in drawn)
    assert report.mcnemar_p == mcnemar_p(broken, repaired)
    unchanged = evaluate("c", current(*rows), before, before)
    assert unchanged.regressions == 0
    assert unchanged.mcnemar_p == 1.0


def test_passes_on_loan_tell_of_traffic_and_have_no_limit() -> None:
    asked = [replace(row(f"f{i}", HELDOUT), weight=2.0) for i in range(5)]
    asked += [replace(row(f"p{i}", REGRESSION), weight=3.0) for i in range(10)]
    lent = [replace(row(f"l{i}", ON_LOAN), weight=3.0) for i in range(50)]
    before = {r.id: "no" if r.part is HELDOUT else "yes" for r in (*asked, *lent)}
    after = dict.fromkeys(before, "yes")
    breaking = after | {f"l{i}": "no" for i in range(20)}
    kept = evaluate("c", current(*asked, *lent), after, before)
    broken = evaluate("c", current(*asked, *lent), breaking, before)
    alone = evaluate("c", current(*asked), after, before)
    assert kept.on_loan
    assert kept.on_loan.total == 50
    assert broken.regressions == 0
    assert kept.traffic
    assert broken.traffic
    assert alone.traffic
    assert broken.traffic.mean < 0 < kept.traffic.mean
    assert kept.traffic.error < alone.traffic.error
    later = EvaluationSets((), {"checkpoint 1": lent})
    assert evaluate("c", later, breaking, before).regressions == 0


def test_failures_of_an_earlier_set_must_not_be_lost_and_show_nothing_of_traffic() -> None:
    asked = [
        replace(row("f1", HELDOUT), weight=5.0),
        replace(row("p1", REGRESSION), weight=50.0),
    ]
    old = [row(f"old-{i}", HELDOUT) for i in range(9)]
    wrong_before = {"f1": "no", "p1": "yes"} | {r.id: "no" for r in old}
    right = dict.fromkeys(wrong_before, "yes")
    alone = evaluate("c", EvaluationSets(asked, {}), right, wrong_before)
    beside = evaluate("c", EvaluationSets(asked, {"v1": old}), right, wrong_before)
    assert beside.traffic == alone.traffic
    assert beside.mcnemar_p == alone.mcnemar_p
    lost = evaluate("c", EvaluationSets(asked, {"v1": old}), wrong_before, right)
    assert lost.earlier[0].regressions == 9
