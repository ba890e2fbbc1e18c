"""Releasing a trace from quarantine, and opinions of feedback, through the real handlers."""

from shared.cli.narrate import narrate
from shared.domain.triage import Family, TriageKind, TriageVerdict
from shared.events import FeedbackGiven, TraceReleased
from tests.flow.conftest import MODEL, House, trace
from tests.flow.rows import LABELS, rows_of
from tests.flow.test_loop import KNOWN

ROW, OTHER = rows_of(0, 2)[:2]
POISON = TriageVerdict(TriageKind.POISON, 0.9, Family.GIBBERISH)


def release(trace_id: str, *, model: str = MODEL, by: str = "ann") -> TraceReleased:
    return TraceReleased(
        id=f"release {trace_id} {by}", model=model, trace_id=trace_id, by=by, reason="I asked them"
    )


async def quarantine(house: House) -> None:
    await house.deploy(KNOWN, LABELS)
    for row in (ROW, OTHER):
        await house.publish(trace(row, "returns"))
    await house.traces.record_triage(
        {ROW.id: POISON, OTHER.id: POISON},
        model=MODEL,
        diagnosis_id="d",
        now=house.clock(),
    )


async def test_a_released_trace_leaves_the_quarantine_for_good(house: House) -> None:
    await quarantine(house)
    await house.publish(release(ROW.id))
    await house.publish(release(ROW.id, by="bob"))
    assert [t.id for t in await house.traces.quarantined(MODEL, 10)] == [OTHER.id]
    kept = await house.traces.triage_of(ROW.id)
    assert kept is not None
    assert kept.release is not None
    assert (kept.release.by, kept.release.reason) == ("ann", "I asked them")
    released = {t.id: t.released for t in await house.traces.failures(MODEL, 1, 10)}
    assert released == {ROW.id: True, OTHER.id: False}
    [first, _] = house.of(TraceReleased)
    assert narrate(first) == f"trace {ROW.id} released by ann: I asked them"
    assert house.dead == []


async def test_a_release_of_an_unknown_trace_is_kept_with_its_reason(house: House) -> None:
    await quarantine(house)
    event = release("nowhere")
    await house.publish(event)
    [dead] = house.dead
    assert dead.topic == "trace.released"
    assert "trace 'nowhere' is unknown" in dead.error
    assert TraceReleased.model_validate_json(dead.body) == event


async def test_a_release_under_another_models_name_is_refused(house: House) -> None:
    await quarantine(house)
    await house.publish(release(ROW.id, model="other"))
    [dead] = house.dead
    assert "release names model 'other'" in dead.error
    assert len(await house.traces.quarantined(MODEL, 10)) == 2


async def test_feedback_leaves_the_opinions_of_all_who_gave_it(house: House) -> None:
    await quarantine(house)
    fields = {"model": MODEL, "trace_id": ROW.id, "verdict": "fail"}
    told = [
        FeedbackGiven(id="1", corrected_output="delivery", corrector="ann", **fields),
        FeedbackGiven(id="2", corrected_output="billing", corrector="bob", human=True, **fields),
        FeedbackGiven(id="3", corrected_output=None, corrector="eve", **fields),
    ]
    for given in (*told, *told):
        await house.publish(given)
    [failure] = [t for t in await house.traces.failures(MODEL, 1, 10) if t.id == ROW.id]
    assert failure.corrected == "billing"
    assert failure.opinions == ("billing", "delivery")
    assert [(v.answer, v.source, v.corrector) for v in failure.votes] == [
        ("billing", "human", "bob"),
        ("delivery", "feedback", "ann"),
        ("billing", "exact_match", None),
    ]
