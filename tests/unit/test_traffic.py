"""Whether traffic as a whole would get better, from small sets drawn at different rates."""

from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain.evaluation import EvaluationSets, evaluate
from services.verifier.domain.gates import explain, judge
from services.verifier.domain.traffic import traffic_gain
from shared.domain.evaluation import Admitted, Limits, NotBetter, SetReport
from shared.domain.rows import EvalPart, EvalRow
from tests.unit.floats import floats


def heldout(fixed: int, total: int) -> SetReport:
    return SetReport("heldout", total, 0, fixed, ())


def guarded(broken: int, total: int) -> SetReport:
    return SetReport("regression", total, total, total - broken, ("x",) * broken)


def test_one_broken_pass_outweighs_some_repairs() -> None:
    sure = {"failure_share": 0.1, "assurance": 0.8}
    assert traffic_gain(heldout(12, 30), [guarded(0, 100)], **sure).at_least > 0
    assert traffic_gain(heldout(12, 30), [guarded(2, 15)], **sure).mean < 0


@given(fixed=st.integers(0, 30), broken=st.integers(0, 19), share=floats(0.01, 0.99))
def test_more_repairs_and_fewer_breaks_are_never_worse(
    fixed: int, broken: int, share: float
) -> None:
    def mean(fixed: int, broken: int) -> float:
        return traffic_gain(
            heldout(fixed, 31), [guarded(broken, 20)], failure_share=share, assurance=0.8
        ).mean

    assert mean(fixed + 1, broken) > mean(fixed, broken) > mean(fixed, broken + 1)


@given(assurance=floats(0.5, 0.99), share=floats(0.01, 0.99))
def test_the_bound_lies_below_the_mean(assurance: float, share: float) -> None:
    gain = traffic_gain(heldout(3, 9), [guarded(1, 8)], failure_share=share, assurance=assurance)
    assert gain.at_least <= gain.mean


def rows(part: EvalPart, count: int, weight: float) -> list[EvalRow]:
    right = part is EvalPart.REGRESSION
    return [EvalRow(f"{part}{i}", f"text {i}", "yes", part, right, weight) for i in range(count)]


def verdict_of(broken: int, weight: float) -> Admitted | NotBetter | object:
    current = rows(EvalPart.HELDOUT, 30, 3.0) + rows(EvalPart.REGRESSION, 30, weight)
    answers = {row.id: "yes" for row in current}
    answers |= {row.id: "no" for row in current[:18]}
    answers |= {row.id: "no" for row in current[30 : 30 + broken]}
    report = evaluate("c", EvaluationSets(current, {}), answers, None)
    return judge(report, Limits(epsilon=2))


def test_within_epsilon_but_worse_on_traffic_is_not_admitted() -> None:
    # The same answers: first as few passes as failures, then twenty times as many.
    assert isinstance(verdict_of(broken=2, weight=3.0), Admitted)
    refused = verdict_of(broken=2, weight=60.0)
    assert isinstance(refused, NotBetter)
    assert "accuracy on traffic would change by -" in explain(refused)


def test_sets_that_do_not_say_what_they_stand_for_are_gated_by_counts_alone() -> None:
    assert isinstance(verdict_of(broken=2, weight=0.0), Admitted)
