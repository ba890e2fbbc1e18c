"""A run advances by the events it waits for and by no others."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.controller.domain.decision import Admission, Iterate
from services.controller.domain.run import (
    Advanced,
    Ignored,
    Run,
    begin,
    close,
    decline,
    iterate,
    leave_untrained,
    record_verdicts,
    why_late,
)
from services.controller.domain.states import (
    Declined,
    Ending,
    Failed,
    Iterating,
    NotPromoted,
    NotTrained,
    Promoted,
)
from shared.domain.evaluation import Admitted, NotBetter, Regressed, Unusable
from shared.domain.patterns import Remedy, RemedyKind
from shared.domain.pipeline import DataSpec
from shared.errors import BadInput
from shared.events import StepFailed
from tests.unit.run_builders import (
    START,
    Result,
    a_diagnosis,
    a_model,
    a_plan,
    a_report,
    a_run,
    iterated,
    recorded,
    ref,
    verified,
)

LATER = START + timedelta(minutes=5)
NEXT = Iterate(DataSpec(size=77), a_plan().recipes, a_plan().move, "again")
RUN = TypeAdapter(Run)


def test_a_run_begins_in_its_first_iteration() -> None:
    run = a_run()
    assert run.state == Iterating(
        1, a_plan().data, a_plan().recipes, a_plan().move, a_plan().reason
    )
    assert not run.decision_due
    assert run.id == a_run().id


def test_a_diagnosis_of_a_version_no_longer_deployed_is_declined() -> None:
    run = begin(a_diagnosis(version=1), a_model(version=2), a_plan(), START)
    assert isinstance(run.state, Declined)
    assert "version 2 is deployed" in run.state.reason


def test_a_run_that_is_not_trained_has_ended_with_its_reason_and_remedies() -> None:
    remedy = Remedy(RemedyKind.REFERENCE_LABELS, 150, "correct them", ("p",), (("a", 0.5),))
    event = a_diagnosis().model_copy(update={"remedies": (remedy,)})
    run = leave_untrained(event, a_model(), "labels first", LATER)
    assert run.state == NotTrained("labels first", LATER)
    assert run.remedies == (remedy,)
    assert not run.decision_due
    assert isinstance(close(run, NotPromoted("x", LATER)), Ignored)
    assert isinstance(iterate(run, NEXT), Ignored)
    assert RUN.validate_json(RUN.dump_json(run)) == run


def test_remedies_of_a_version_no_longer_deployed_decline_the_run() -> None:
    run = leave_untrained(a_diagnosis(version=1), a_model(version=2), "labels first", START)
    assert isinstance(run.state, Declined)


def test_a_diagnosis_of_another_model_is_bad_input() -> None:
    other = a_diagnosis().model_copy(update={"model": "other"})
    with pytest.raises(BadInput, match="'other'"):
        begin(other, a_model(), a_plan(), START)


def test_verdicts_become_types() -> None:
    run = recorded(a_run(), Result(90), Result(95, broken=3))
    assert [type(j.verdict) for j in run.iterations[0].judged] == [Admitted] + [Regressed] * 3
    run = recorded(iterated(run, NEXT), Result(0), Result(0, loads=False))
    assert [type(j.verdict) for j in run.iterations[1].judged] == [NotBetter] + [Unusable] * 3
    assert [admission.score for admission in run.admitted] == [0.9]
    assert run.admitted[0].training_set == ref("training-1")


def test_recorded_outcome_keeps_what_was_tried_and_how_long_it_took() -> None:
    run = recorded(a_run(), Result(90), Result(80), now=LATER)
    outcome = run.iterations[0]
    assert (outcome.iteration, outcome.data, outcome.recipes) == (
        1,
        a_plan().data,
        a_plan().recipes,
    )
    assert run.decision_due
    assert run.last_duration == timedelta(minutes=5)
    run = recorded(iterated(run, NEXT), Result(1), Result(1), now=LATER + timedelta(minutes=3))
    assert run.last_duration == timedelta(minutes=3)


def test_repeated_late_and_foreign_verdicts_are_ignored() -> None:
    begun = a_run()
    event = verified(begun, [Result(90), Result(80)])
    run = recorded(begun, Result(90), Result(80))
    repeated = record_verdicts(run, event, LATER)
    assert repeated == Ignored(run, f"iteration 1 of run {run.id} is verified already")
    second = iterated(run, NEXT)
    assert record_verdicts(second, event, LATER).run is second
    early = event.model_copy(update={"iteration": 3})
    assert isinstance(record_verdicts(begun, early, LATER), Ignored)
    foreign = event.model_copy(update={"run_id": "another"})
    assert isinstance(record_verdicts(begun, foreign, LATER), Ignored)


ENDINGS: tuple[Ending, ...] = (NotPromoted("nothing", LATER), Failed("no data", LATER))


@pytest.mark.parametrize("ending", ENDINGS)
def test_after_the_end_nothing_changes(ending: Ending) -> None:
    begun = a_run()
    closed = close(begun, ending).run
    assert closed.state == ending
    event = verified(begun, [Result(90), Result(80)])
    other = Failed("another reason", LATER)
    for late in (
        record_verdicts(closed, event, LATER),
        iterate(closed, NEXT),
        close(closed, other),
    ):
        assert isinstance(late, Ignored)
        assert late.run is closed
    assert not closed.decision_due


def test_a_declined_run_stays_declined() -> None:
    run = decline(a_diagnosis(), a_model(), "another run is active", START)
    assert isinstance(close(run, NotPromoted("x", LATER)), Ignored)
    assert isinstance(iterate(run, NEXT), Ignored)


def test_the_next_iteration_waits_for_the_verdicts() -> None:
    run = a_run()
    assert isinstance(iterate(run, NEXT), Ignored)
    run = iterated(recorded(run, Result(50), Result(50)), NEXT)
    assert isinstance(run.state, Iterating)
    assert (run.state.iteration, run.state.data) == (2, NEXT.data)
    assert isinstance(iterate(run, NEXT), Ignored)


def test_only_admitted_candidates_end_a_run_as_promoted() -> None:
    run = recorded(a_run(), Result(90), Result(99, broken=9))
    admitted, refused, *_ = (j.candidate.id for j in run.iterations[0].judged)
    with pytest.raises(BadInput, match="was not admitted"):
        close(run, Promoted(refused, 2, "x", LATER))
    assert isinstance(close(run, Promoted(admitted, 2, "x", LATER)), Advanced)


def test_a_verdict_must_carry_the_candidate_s_own_report() -> None:
    run = a_run()
    event = verified(run, [Result(90), Result(80)])
    first, second, *_ = event.verdicts
    for report in (None, second.report):
        lying = first.model_copy(update={"report": report})
        with pytest.raises(BadInput, match="candidate's own"):
            record_verdicts(run, event.model_copy(update={"verdicts": (lying,)}), LATER)
    with pytest.raises(ValueError, match="give its own"):
        Admission(first.candidate, Admitted(a_report("other", Result(99))), ref("t"))


def test_failures_of_other_iterations_are_late() -> None:
    run = a_run()
    failed = StepFailed(
        id="f", model="intent", run_id=run.id, iteration=1, step="train", reason="no memory"
    )
    assert why_late(run, failed) is None
    assert why_late(run, failed.model_copy(update={"iteration": 2})) is not None
    assert why_late(recorded(run, Result(9), Result(9)), failed) is not None


results = st.builds(
    Result,
    right=st.integers(0, 100),
    broken=st.integers(0, 5),
    broken_earlier=st.integers(0, 5),
    loads=st.booleans(),
)


@given(st.lists(st.tuples(results, results), max_size=3), st.sampled_from([None, *ENDINGS]))
def test_a_run_survives_json(drawn: list[tuple[Result, Result]], ending: Ending | None) -> None:
    run = a_run()
    for pair in drawn:
        run = iterated(recorded(run, *pair, now=LATER), NEXT)
    if ending:
        run = close(run, ending).run
    elif run.admitted:
        run = close(run, Promoted(run.admitted[0].candidate.id, 2, "better", LATER)).run
    assert RUN.validate_json(RUN.dump_json(run)) == run
    assert RUN.validate_python(RUN.dump_python(run, mode="json")) == run


def test_a_state_or_verdict_without_its_kind_is_not_read() -> None:
    run = recorded(a_run(), Result(0), Result(0))
    no_state, no_verdict = (RUN.dump_python(run, mode="json") for _ in range(2))
    del no_state["state"]["kind"]
    del no_verdict["iterations"][0]["judged"][0]["verdict"]["kind"]
    for stored in (no_state, no_verdict):
        with pytest.raises(ValidationError):
            RUN.validate_python(stored)
