"""The gate refuses what breaks too much, whatever else it repairs."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.verifier.domain.gates import explain, judge
from shared.domain.evaluation import (
    Admitted,
    EvaluationReport,
    Limits,
    NotBetter,
    Regressed,
    SetReport,
    TrafficGain,
    Unusable,
)

LIMITS = Limits(epsilon=2)


def a_set(
    name: str, *, total: int = 50, before: int = 40, broken: int = 0, fixed: int = 0
) -> SetReport:
    return SetReport(
        name=name,
        total=total,
        right_before=before,
        right_after=before - broken + fixed,
        regressed=tuple(f"{name}-{i}" for i in range(broken)),
    )


def a_report(
    *, fixed: int = 30, broken: int = 0, earlier: tuple[int, ...] = (), lost: int = 0
) -> EvaluationReport:
    return EvaluationReport(
        candidate="c",
        heldout=a_set("heldout", before=lost, broken=lost, fixed=fixed),
        regression=a_set("regression", broken=broken),
        earlier=tuple(a_set(f"v{i}", broken=b) for i, b in enumerate(earlier, 1)),
        mcnemar_p=0.01,
    )


reports = st.builds(
    a_report,
    fixed=st.integers(0, 40),
    broken=st.integers(0, 5),
    earlier=st.lists(st.integers(0, 5), max_size=4).map(tuple),
    lost=st.integers(0, 5),
)
limits = st.builds(Limits, epsilon=st.integers(0, 4))


def sets_of(report: EvaluationReport) -> tuple[SetReport, ...]:
    return (report.heldout, report.regression, *report.earlier)


def test_better_and_within_epsilon_is_admitted() -> None:
    assert judge(a_report(broken=2, earlier=(2, 2)), LIMITS) == Admitted(
        a_report(broken=2, earlier=(2, 2))
    )


def test_one_too_many_on_an_earlier_set_is_refused_and_named() -> None:
    verdict = judge(a_report(fixed=49, earlier=(0, 3, 4)), LIMITS)
    assert isinstance(verdict, Regressed)
    assert verdict.sets == ("v2", "v3")


def test_a_model_that_mostly_fails_may_break_one_for_ten_it_repairs() -> None:
    def ended(broken: int, *, failing: float = 0.8, limits: Limits = LIMITS) -> str:
        lost = a_set("regression", total=120, before=100, broken=broken)
        traffic = TrafficGain(0.3, 0.25, failing=failing)
        # 25 of 50 failures are repaired: 40 % of the traffic.
        report = replace(a_report(fixed=25), regression=lost, traffic=traffic)
        return judge(report, limits).kind

    # A tenth of that is 4 % of the traffic, or 20 of the 100 rows that a fifth of it stands for.
    assert (ended(20), ended(21)) == ("admitted", "regressed")
    assert ended(3, failing=0.5) == "regressed"
    assert ended(3, limits=replace(LIMITS, broken_per_repaired=0.0)) == "regressed"
    # However rarely it is right: three quarters stay.
    assert (ended(25, failing=0.99), ended(26, failing=0.99)) == ("admitted", "regressed")


def test_no_more_heldout_failures_repaired_than_before_is_not_better() -> None:
    assert isinstance(judge(a_report(fixed=0), LIMITS), NotBetter)
    assert isinstance(judge(a_report(lost=2, fixed=2), LIMITS), NotBetter)


def test_without_heldout_rows_nothing_is_admitted() -> None:
    empty = replace(a_report(), heldout=SetReport("heldout", 0, 0, 0, ()))
    assert isinstance(judge(empty, LIMITS), NotBetter)


@given(reports, limits)
def test_admitted_means_within_epsilon_everywhere_and_better(
    report: EvaluationReport, limits: Limits
) -> None:
    within = all(s.regressions <= limits.epsilon for s in sets_of(report))
    better = report.score > report.score_before
    assert isinstance(judge(report, limits), Admitted) == (within and better)


@given(reports, limits, st.data())
def test_one_more_regression_never_turns_a_refusal_into_an_admission(
    report: EvaluationReport, limits: Limits, data: st.DataObject
) -> None:
    hit = data.draw(st.sampled_from(sets_of(report)))
    worse = replace(hit, right_after=max(0, hit.right_after - 1), regressed=(*hit.regressed, "x"))
    harmed = replace(
        report,
        heldout=worse if hit is report.heldout else report.heldout,
        regression=worse if hit is report.regression else report.regression,
        earlier=tuple(worse if hit is s else s for s in report.earlier),
    )
    assert harmed != report
    if not isinstance(judge(report, limits), Admitted):
        assert not isinstance(judge(harmed, limits), Admitted)


@given(reports, limits, st.integers(0, 3))
def test_a_stricter_gate_admits_no_more(
    report: EvaluationReport, limits: Limits, stricter: int
) -> None:
    strict = Limits(epsilon=max(0, limits.epsilon - stricter))
    if isinstance(judge(report, strict), Admitted):
        assert isinstance(judge(report, limits), Admitted)


def test_explanations_carry_the_counts() -> None:
    regressed = explain(judge(a_report(broken=5, earlier=(1,)), LIMITS))
    assert regressed == (
        "regressed: 5 of 40 rows that were right in set 'regression' are wrong now; "
        "30 of 50 held-out failures are right now (0 before)"
    )
    assert explain(judge(a_report(broken=1), LIMITS)) == (
        "admitted: 30 of 50 held-out failures are right now (0 before) and "
        "1 of 40 rows that were right in set 'regression' are wrong now"
    )
    assert explain(judge(a_report(fixed=0), LIMITS)).startswith("not better: 0 of 50")
    assert explain(Unusable("c", "adapter is corrupt")) == "unusable: adapter is corrupt"
