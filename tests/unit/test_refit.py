"""What is admitted is trained once more with its held-out failures, where the budget allows."""

from dataclasses import replace
from datetime import timedelta

from services.controller.domain.budget import Budget
from services.controller.domain.decision import Iterate, Move, Promote, Stop
from services.controller.domain.outcome import preferred
from services.controller.domain.policy import decide
from services.controller.domain.run import Run
from shared.domain.evaluation import Regressed, TrafficGain
from shared.domain.pipeline import Method
from tests.unit.run_builders import LIMITS, START, Result, a_run, iterated, recorded

REFIT = Budget(iterations=50, minutes=1000, refit=True)


def refit_asked(*results: Result) -> tuple[Run, Iterate]:
    run = recorded(a_run(), *results)
    again = decide(run, limits=LIMITS, budget=REFIT, now=START)
    assert isinstance(again, Iterate)
    assert again.move is Move.REFIT
    return run, again


def test_what_is_admitted_learns_the_held_out_failures_before_it_is_promoted() -> None:
    run, again = refit_asked(Result(90), Result(97))
    twin = preferred(run.admitted)
    assert twin
    whole = twin.candidate.recipe.training
    full = [j.candidate for j in run.iterations[0].judged if j.candidate.recipe.training == whole]
    assert again.twins == tuple(full)
    assert twin.candidate in full
    assert again.recipes == tuple(one.recipe for one in full)
    assert again.data == replace(run.iterations[0].data, heldout=True)
    run = recorded(iterated(run, again), Result(97))
    end = decide(run, limits=LIMITS, budget=REFIT, now=START)
    assert isinstance(end, Promote)
    assert end.admission in run.iterations[1].admitted


def test_what_breaks_too_much_once_more_leaves_its_twin_to_be_promoted() -> None:
    run, again = refit_asked(Result(90), Result(97))
    run = recorded(iterated(run, again), Result(97, broken=9))
    end = decide(run, limits=LIMITS, budget=REFIT, now=START)
    assert isinstance(end, Promote)
    assert end.admission.candidate in again.twins


def helping(run: Run, gain: float) -> Run:
    """Every verdict says so of traffic as a whole."""
    last = run.iterations[-1]
    told = [
        replace(
            one,
            verdict=replace(
                one.verdict,
                report=replace(one.report, traffic=TrafficGain(gain + one.report.score, gain)),
            ),
        )
        for one in last.judged
        if one.report and isinstance(one.verdict, Regressed)
    ]
    return replace(run, iterations=(*run.iterations[:-1], replace(last, judged=tuple(told))))


def test_what_helps_traffic_though_it_broke_too_much_may_learn_what_was_held_out() -> None:
    refused = recorded(a_run(), Result(70, broken=3), Result(80, broken=3))
    two = replace(REFIT, iterations=2)
    again = decide(helping(refused, 0.01), limits=LIMITS, budget=two, now=START)
    assert isinstance(again, Iterate)
    assert again.move is Move.REFIT
    assert {one.recipe.strategy.method for one in again.twins} == {Method.FULL}
    no_help = decide(helping(refused, -0.9), limits=LIMITS, budget=two, now=START)
    assert isinstance(no_help, Iterate)
    assert no_help.move is not Move.REFIT
    kept = recorded(iterated(helping(refused, 0.01), again), Result(80, broken=2))
    assert isinstance(decide(kept, limits=LIMITS, budget=two, now=START), Promote)
    still = recorded(iterated(helping(refused, 0.01), again), Result(80, broken=3))
    assert isinstance(decide(still, limits=LIMITS, budget=two, now=START), Stop)


def test_nothing_is_trained_once_more_without_time_or_without_an_admission() -> None:
    run = recorded(a_run(), Result(97), Result(97), now=START + timedelta(minutes=40))
    short = Budget(iterations=2, minutes=60, refit=True)
    late = START + timedelta(minutes=40)
    assert isinstance(decide(run, limits=LIMITS, budget=short, now=late), Promote)
    single = Budget(iterations=1, minutes=1000, refit=True)
    assert isinstance(decide(run, limits=LIMITS, budget=single, now=late), Promote)
    refused = recorded(a_run(), Result(97, broken=9), Result(97, broken=9))
    ended = decide(refused, limits=LIMITS, budget=replace(REFIT, iterations=1), now=START)
    assert isinstance(ended, Stop)


def test_the_last_iteration_is_kept_for_what_was_held_out() -> None:
    run = recorded(a_run(), Result(85), Result(85))
    two = Budget(iterations=2, minutes=1000, refit=True)
    last = decide(run, limits=LIMITS, budget=two, now=START)
    assert isinstance(last, Iterate)
    assert last.move is Move.REFIT
    three = decide(run, limits=LIMITS, budget=replace(two, iterations=3), now=START)
    assert isinstance(three, Iterate)
    assert three.move is Move.TUNE


def test_a_training_beyond_the_budget_is_not_done_for_it() -> None:
    run = recorded(a_run(), Result(97), Result(97))
    spent, one = (replace(REFIT, trainings=number) for number in (2, 3))
    assert isinstance(decide(run, limits=LIMITS, budget=spent, now=START), Promote)
    assert isinstance(decide(run, limits=LIMITS, budget=one, now=START), Iterate)
