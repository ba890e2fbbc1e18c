"""A diagnosis that training cannot help ends its run at once, with what to do instead."""

from services.diagnoser.models import COLLECTION
from shared.cli.narrate import narrate
from shared.domain.artifacts import ArtifactRef
from shared.domain.patterns import Remedy, RemedyKind
from shared.events import FailuresDiagnosed, IterationRequested, RunClosed, TrainingSetSynthesized
from tests.flow.conftest import MODEL, House
from tests.flow.rows import LABELS, rows_of

LABELS_FIRST = Remedy(RemedyKind.REFERENCE_LABELS, 9, "triage doubts 9 references")


def diagnosed(house: House, id_: str, **fields: object) -> FailuresDiagnosed:
    empty: ArtifactRef = house.artifacts.put(b"", name="evaluation.jsonl")
    event = {
        "id": id_,
        "model": MODEL,
        "deployed_version": 1,
        "diagnosis": empty,
        "evaluation_set": empty,
        "failures": 10,
        "repair": 0,
        "heldout": 0,
        "regression": 0,
        "quarantined": 1,
        "patterns": (),
        "remedies": (LABELS_FIRST,),
    }
    return FailuresDiagnosed.model_validate(event | fields)


async def test_a_run_without_training_is_closed_and_never_synthesized(house: House) -> None:
    await house.deploy(rows_of(0, 12), LABELS)
    await house.publish(diagnosed(house, "nothing"))
    await house.run_loops(rounds=2)
    [closed] = house.of(RunClosed)
    assert (closed.outcome, closed.iterations) == ("not_trained", 0)
    assert "none of 10 failures may be learned from" in closed.reason
    assert "triage doubts 9 references" in closed.reason
    assert house.of(IterationRequested) == house.of(TrainingSetSynthesized) == []
    assert house.dead == []
    [run] = house.documents.collections["runs"].values()
    assert run["state"]["state"]["kind"] == "not_trained"
    assert run["state"]["remedies"][0]["reason"] == LABELS_FIRST.reason


async def test_whoever_asks_again_gets_the_same_answer(house: House) -> None:
    await house.deploy(rows_of(0, 12), LABELS)
    for _ in range(2):
        await house.publish(diagnosed(house, "nothing"))
    first, again = house.of(RunClosed)
    assert (first.id, first.outcome, first.reason) == (again.id, again.outcome, again.reason)


async def test_the_next_diagnosis_is_not_blocked(house: House) -> None:
    await house.deploy(rows_of(0, 12), LABELS)
    await house.publish(diagnosed(house, "nothing"))
    await house.publish(diagnosed(house, "nothing either"))
    assert [closed.outcome for closed in house.of(RunClosed)] == ["not_trained"] * 2
    assert house.documents.collections[COLLECTION][MODEL]["open"] is None


async def test_what_was_found_is_told_in_a_line(house: House) -> None:
    await house.deploy(rows_of(0, 12), LABELS)
    await house.publish(diagnosed(house, "nothing"))
    [event] = house.of(FailuresDiagnosed)
    assert "10 failures of version 1, 1 of them poison," in narrate(event)
    assert "remedies: reference labels (9)" in narrate(event)
    assert "ended as not_trained" in narrate(house.of(RunClosed)[0])
