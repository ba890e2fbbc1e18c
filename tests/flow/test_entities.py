"""From failures of a model that names entities to a promotion, through all five rooms."""

import json

import pytest

from shared.domain.entities import Entity, read_answer, write_answer
from shared.domain.patterns import Character
from shared.domain.rows import EvalPart, EvalRow, Role, Row, TrainingRow, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.traces import Verdict
from shared.events import (
    CandidatesVerified,
    FailuresDiagnosed,
    FeedbackGiven,
    ModelPromoted,
    RunClosed,
    TrainingSetSynthesized,
)
from shared.tasks import behaviour
from tests.flow.conftest import MODEL, House, trace

TASK = Task(TaskKind.NER, ("city", "person"))
PEOPLE = ("Ada", "Alan", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Tony", "Jean", "Ken")
CITIES = ("Rome", "Oslo", "Lima", "Cairo", "Quito", "Bergen", "Dakar", "Minsk", "Turin", "Sofia")
# Words that the first model takes for people, because once they were.
FALSE = ("Monday", "Easter", "Winter")
WORDS = tuple(f"{a}{b}" for a in ("ta", "re", "mi", "so", "lu") for b in ("bek", "dan", "fos"))


def row(number: int, *, person: str = "", city: str = "", word: str = "") -> Row:
    """A text that says no other text nearly."""
    fillers = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 4, 7, 11)]
    said = " ".join(part for part in (fillers[0], person, fillers[1], city, word) if part)
    text = f"{said} {fillers[2]} {fillers[3]} {number * 7919}"
    named = (("person", person), ("city", city))
    entities = [Entity(text.index(v), text.index(v) + len(v), t) for t, v in named if v]
    return Row(f"row {number}", text, write_answer(entities, text))


KNOWN = [row(at, person=PEOPLE[at % 5], city=CITIES[at % 5]) for at in range(20)]
KNOWN += [
    Row(f"false {at}", f"{word} came by {at}", write_answer([Entity(0, len(word), "person")], word))
    for at, word in enumerate(FALSE)
]
PASSES = [row(at, person=PEOPLE[at % 5], city=CITIES[at % 5]) for at in range(100, 140)]
PASSES += [row(at, city=CITIES[at % 5]) for at in range(140, 160)]
PASSES += [row(at) for at in range(160, 190)]
MISSED = [row(at, person=PEOPLE[5 + at % 5]) for at in range(200, 230)]
INVENTED = [row(at, word=FALSE[at % 3]) for at in range(300, 330)]


async def improve(house: House) -> int:
    registered = await house.deploy(KNOWN, TASK.labels, task=TASK)
    wrong = await house.serve(PASSES + MISSED + INVENTED, registered)
    await house.run_loops()
    return wrong


async def test_failures_end_in_a_promotion(house: House) -> None:
    assert await improve(house) == len(MISSED) + len(INVENTED)
    [diagnosed] = house.of(FailuresDiagnosed)
    assert diagnosed.failures == len(MISSED) + len(INVENTED)
    assert diagnosed.quarantined == 0
    [closed] = house.of(RunClosed)
    assert closed.outcome == "promoted", closed.reason
    _, promoted = house.of(ModelPromoted)
    assert promoted.deployed.task == TASK
    assert promoted.deployed.version.heldout_score > 0.8
    assert house.dead == []


async def test_what_was_held_out_is_learned_in_the_end(house: House) -> None:
    await improve(house)
    *_, again = house.of(TrainingSetSynthesized)
    asked = load_rows(house.artifacts.get(again.evaluation_set), EvalRow)
    learned = {r.text for r in load_rows(house.artifacts.get(again.training_set), TrainingRow)}
    # Worn values may be others, but never in so many rows.
    held = {row.text for row in asked if row.part is EvalPart.HELDOUT}
    assert len(held & learned) > len(held) / 2
    assert not learned & {row.text for row in asked if row.part is EvalPart.REGRESSION}


async def test_false_positives_and_misses_are_patterns_apart(house: House) -> None:
    await improve(house)
    [diagnosed] = house.of(FailuresDiagnosed)
    files = house.artifacts.get_folder(diagnosed.diagnosis)
    patterns = json.loads(files["patterns.json"])
    found = {(p["expected"], p["predicted"]): p["character"] for p in patterns}
    assert found["person", "no entity"] == Character.RECALL
    assert found["no entity", "person, in a text without entities"] == Character.PRECISION
    for one in patterns:
        ids = {r.id for r in (MISSED if one["expected"] == "person" else INVENTED)}
        assert set(one["members"]) <= ids


async def test_the_training_set_teaches_both_and_wears_out_no_value(house: House) -> None:
    await improve(house)
    event = house.of(TrainingSetSynthesized)[0]
    rows = load_rows(house.artifacts.get(event.training_set), TrainingRow)
    texts = {r.text for r in load_rows(house.artifacts.get(event.evaluation_set), EvalRow)}
    assert not texts & {r.text for r in rows}
    assert event.composition.labels == 3
    # False positives are met by texts without entities.
    hard = [read_answer(one.target) for one in rows if one.role is Role.HARD]
    assert hard.count(()) > len(hard) / 2
    for one in rows:
        assert behaviour(TASK).objection(one.target, TASK, one.text) is None
    assert any(one.source == "other values" for one in rows)
    learned = [one for one in rows if one.source == "failure"]
    assert {bool(read_answer(one.target)) for one in learned} == {True, False}


async def test_answers_are_judged_by_what_they_say(house: House) -> None:
    await house.deploy(KNOWN, TASK.labels, task=TASK)
    asked = row(1, person="Ada")
    [entity] = read_answer(asked.target)
    by_hand = f'[ {{"type": "person", "end": {entity.end}, "start": {entity.start}}} ]'
    await house.publish(trace(Row("t1", asked.text, asked.target), by_hand))
    verdict = house.traces.traces["t1"][1]
    assert verdict is not None
    assert verdict.verdict is Verdict.PASS
    given = FeedbackGiven(
        id="f1", model=MODEL, trace_id="t1", verdict=Verdict.FAIL, corrected_output="[]"
    )
    await house.publish(given)
    verdict = house.traces.traces["t1"][1]
    assert verdict is not None
    assert (verdict.verdict, verdict.corrected) == (Verdict.FAIL, "[]")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ('[{"start": 0, "end": 9999, "type": "person"}]', "behind the text"),
        ('[{"start": 0, "end": 3, "type": "dog"}]', "'dog' is not one of the 2 entity types"),
        ("B-person O", "is no list of entities"),
    ],
)
async def test_a_reference_that_cannot_be_right_is_refused(
    house: House, reference: str, said: str
) -> None:
    await house.deploy(KNOWN, TASK.labels, task=TASK)
    await house.publish(trace(Row("bad", "somebody was here", reference), "[]"))
    [dead] = house.dead
    assert said in dead.error


async def test_a_model_that_is_only_too_bold_is_only_calibrated(house: House) -> None:
    # Half of what it learned named these words: it is half sure.
    known = [*KNOWN, *(row(400 + at, word=word) for at, word in enumerate(FALSE))]
    registered = await house.deploy(known, TASK.labels, task=TASK)
    assert await house.serve(PASSES + INVENTED, registered) == len(INVENTED)
    await house.run_loops()
    [verified, *_] = house.of(CandidatesVerified)
    [only] = [v for v in verified.verdicts if v.candidate.calibrated]
    assert (only.outcome, only.candidate.threshold) == ("admitted", 0.6)
    first, second = (e.deployed.version for e in house.of(ModelPromoted))
    assert second.adapter == only.candidate.adapter != first.adapter
    # Nothing was trained: it learned what its parent did.
    assert (second.training_set, second.base_model) == (first.training_set, first.base_model)
    # Whoever loads it answers with its threshold.
    served = house.compute.load(second.adapter)
    assert set(served.predict([one.text for one in INVENTED])) == {"[]"}
    assert served.predict([one.text for one in PASSES]) == [one.target for one in PASSES]


async def test_a_trained_candidate_is_stored_with_its_threshold(house: House) -> None:
    await improve(house)
    for verified in house.of(CandidatesVerified):
        for verdict in verified.verdicts:
            if verdict.outcome == "admitted":
                files = house.artifacts.get_folder(verdict.candidate.adapter)
                stored = json.loads(files["adapter.json"]).get("threshold", 0.0)
                assert stored == verdict.candidate.threshold
