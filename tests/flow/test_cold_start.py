"""From a sentence and some rows to a first promotion, through the rooms, in seconds."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.controller.domain.run import Run
from services.controller.domain.run_log import run_log
from shared.chat.ports import ChatCall
from shared.cli.narrate import narrate
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.entities import read_answer
from shared.domain.near_duplicates import NearDuplicateIndex
from shared.domain.pipeline import Method
from shared.domain.rows import EvalRow, Row, TrainingRow, load_rows
from shared.domain.survey import Measure, Surveyed
from shared.domain.tasks import Task, TaskKind
from shared.events import (
    CandidatesVerified,
    IterationRequested,
    ModelPromoted,
    RunClosed,
    TaskPrepared,
    TaskRefused,
    TaskSubmitted,
    TrainingSetSynthesized,
)
from tests.fakes.chat import RecordedChat, Reply, said
from tests.flow.conftest import MODEL, House, built_house, trace
from tests.flow.rows import LABELS, WAYS, rows_of

ROWS = rows_of(0, 20) + rows_of(1, 20)


def lines(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{"text": row.text, "label": row.target} for row in rows]


def submitted(house: House, rows: Sequence[dict[str, Any]] | None = None, **more: Any) -> Any:
    """The event of ``pioneer start``; rows are stored as their file would be."""

    def stored(name: str, found: Sequence[dict[str, Any]]) -> Any:
        return house.artifacts.put("\n".join(map(json.dumps, found)).encode(), name=name)

    test = more.pop("test", None)
    fields: dict[str, Any] = {
        "id": "submission",
        "model": MODEL,
        "description": "classify support messages by intent",
        "base_model": "base",
        "rows": None if rows is None else stored("train.jsonl", rows),
        "test": None if test is None else stored("test.jsonl", test),
    }
    return TaskSubmitted(**(fields | more))


async def started(house: House, rows: Sequence[dict[str, Any]] | None, **more: Any) -> RunClosed:
    await house.publish(submitted(house, rows, **more))
    await house.run_loops()
    closed = {event.id: event for event in house.of(RunClosed)}
    return closed.popitem()[1]


async def test_a_task_with_rows_ends_in_a_first_version(house: House) -> None:
    closed = await started(house, lines(ROWS))
    assert closed.outcome == "promoted"
    [promoted] = house.of(ModelPromoted)
    version = promoted.deployed.version
    assert (version.number, version.base_model) == (1, "base")
    assert promoted.deployed.task.labels == tuple(sorted(LABELS))
    assert promoted.run_id == closed.run_id == version.run_id
    [prepared] = house.of(TaskPrepared)
    asked = sum(prepared.parts.values())
    assert version.heldout_score > 0.8
    assert prepared.rows + asked == len(ROWS)
    assert house.dead == []


async def test_the_locked_set_stays_what_it_was_and_is_never_learned(house: House) -> None:
    await started(house, lines(ROWS))
    [prepared] = house.of(TaskPrepared)
    locked = prepared.evaluation_set
    assert {e.evaluation_set for e in house.of(IterationRequested)} == {locked}
    assert house.of(ModelPromoted)[0].deployed.version.evaluation_set == locked
    exam = load_rows(house.artifacts.get(locked), EvalRow)
    near = NearDuplicateIndex(row.text for row in exam)
    for event in house.of(TrainingSetSynthesized):
        rows = load_rows(house.artifacts.get(event.training_set), TrainingRow)
        assert not any(near.match_each([row.text for row in rows]))
        assert {row.target for row in rows} == set(LABELS)


async def test_the_gate_compares_a_first_version_with_chance(house: House) -> None:
    await started(house, lines(ROWS))
    [verdict, *_] = house.of(CandidatesVerified)[0].verdicts
    exam = load_rows(house.artifacts.get(house.of(TaskPrepared)[0].evaluation_set), EvalRow)
    commonest = max(sum(row.target == label for row in exam) for label in LABELS)
    assert verdict.report.heldout.right_before == commonest
    assert verdict.report.regressions == 0
    assert {one.pattern for one in verdict.report.patterns} <= {
        "positive",
        "negative",
        "boundary pair",
    }
    assert f"{commonest} by giving all of them the commonest answer" in verdict.reason


async def test_rows_of_chance_are_not_promoted(house: House) -> None:
    """Answers that no text tells: what learns them is no better than one answer for all."""
    texts = [row.text for row in ROWS]
    # The label follows from nothing that is written.
    labels = ["yes" if (at * 7919) % 101 % 2 else "no" for at in range(len(texts))]
    rows = [{"text": t, "label": label} for t, label in zip(texts, labels, strict=True)]
    closed = await started(house, rows)
    assert closed.outcome == "not_promoted"
    assert house.of(ModelPromoted) == []


async def test_the_first_version_goes_on_like_any_other(house: House) -> None:
    """Traces of what it answers are taken, and a second start of the name is declined."""
    await started(house, lines(ROWS))
    await house.publish(trace(ROWS[0], "billing"))
    await house.publish(submitted(house, lines(ROWS), id="again"))
    again = house.of(RunClosed)[-1]
    assert (again.outcome, again.diagnosis_event) == ("declined", "again")
    assert f"pioneer improve {MODEL}" in again.reason
    assert len(house.of(ModelPromoted)) == 1
    assert house.dead == []


async def test_the_locked_set_guards_the_versions_after_it(house: House) -> None:
    """What users say in a new way is learned, the locked set is not, and no version breaks it."""
    await started(house, lines(ROWS))
    [first] = house.of(ModelPromoted)
    served = SimpleNamespace(adapter=first.deployed.version.adapter)
    traffic = rows_of(0, 30, start=300) + rows_of(2, 30, start=300)
    assert await house.serve(traffic, served) > 10  # type: ignore[arg-type]
    await house.run_loops()
    second = house.of(ModelPromoted)[-1]
    assert second.deployed.version.number == 2
    locked = first.deployed.version.evaluation_set
    assert locked in second.deployed.earlier_evaluations
    near = NearDuplicateIndex(row.text for row in load_rows(house.artifacts.get(locked), EvalRow))
    trained = second.deployed.version.training_set
    rows = load_rows(house.artifacts.get(trained), TrainingRow)
    assert not any(near.match_each([row.text for row in rows]))
    verdicts = [v for event in house.of(CandidatesVerified) for v in event.verdicts]
    [adapter] = [v for v in verdicts if v.candidate.adapter == second.deployed.version.adapter]
    assert adapter.report.earlier[0].total == first_total(house)
    assert adapter.report.earlier[0].regressions <= 2


def first_total(house: House) -> int:
    return sum(house.of(TaskPrepared)[0].parts.values())


async def test_a_repeated_submission_changes_nothing(house: House) -> None:
    event = submitted(house, lines(ROWS))
    await house.publish(event)
    await house.publish(event)
    await house.run_loops()
    await house.publish(event)
    assert len({e.id for e in house.of(ModelPromoted)}) == 1
    assert {e.outcome for e in house.of(RunClosed)} == {"promoted"}


async def test_a_refusal_after_its_run_began_ends_nothing_twice(house: House) -> None:
    """As when a repeated submission finds its data changed."""
    closed = await started(house, lines(ROWS))
    late = TaskRefused(
        id="late", model=MODEL, run_id=closed.run_id, submission="submission", reason="changed"
    )
    await house.publish(late)
    assert {(e.id, e.outcome) for e in house.of(RunClosed)} == {(closed.id, "promoted")}


async def test_the_best_of_a_survey_is_the_target_and_the_log_says_so(house: House) -> None:
    told = [("weak", 0.2), ("fair", 0.5)]
    survey = tuple(Surveyed(name=n, measure=Measure.ACCURACY, score=s) for n, s in told)
    closed = await started(house, lines(ROWS), survey=survey)
    [prepared] = house.of(TaskPrepared)
    assert (prepared.target, prepared.target_from) == (0.5, "the survey: fair, accuracy 0.5")
    assert "the target is 0.5, from the survey: fair, accuracy 0.5" in narrate(prepared)
    assert "reaches the target 0.5" in closed.reason
    assert closed.iterations == 1
    assert "target 0.5, from the survey: fair, accuracy 0.5" in await told_of(house)
    manifest = json.loads(house.artifacts.get_folder(prepared.material)["task.json"])
    assert manifest["survey"][1] == {"name": "fair", "measure": "accuracy", "score": 0.5}


async def test_a_target_out_of_reach_ends_in_the_best_there_is(house: House) -> None:
    """What never reaches it is promoted all the same, once the iterations are used."""
    rows = lines(ROWS)
    # Rows of the exam that nobody can have right: near twins of another answer.
    rows += [{"text": f"{r['text']} please", "label": _another(r["label"])} for r in rows[::6]]
    closed = await started(house, rows, target=1.0)
    assert closed.outcome == "promoted", closed.reason
    assert "best admitted candidate, score 0." in closed.reason
    assert closed.iterations > 1
    [promoted] = house.of(ModelPromoted)
    scores = [
        verdict.report.score
        for event in house.of(CandidatesVerified)
        for verdict in event.verdicts
        if verdict.report
    ]
    assert promoted.deployed.version.heldout_score == max(scores)


def _another(label: str) -> str:
    return LABELS[(LABELS.index(label) + 1) % len(LABELS)]


async def test_a_test_part_is_what_is_measured(house: House) -> None:
    test = rows_of(0, 8, start=200)
    closed = await started(house, lines(ROWS), test=lines(test))
    assert closed.outcome == "promoted"
    exam = load_rows(house.artifacts.get(house.of(TaskPrepared)[0].evaluation_set), EvalRow)
    assert {row.text for row in exam} <= {row.text for row in test}


async def test_rows_that_nearly_say_what_is_measured_are_not_learned_and_counted(
    house: House,
) -> None:
    near = [Row(row.id, f"{row.text} please", row.target) for row in ROWS[:4]]
    test = [*rows_of(0, 8, start=200), *near]
    await started(house, lines(ROWS), test=lines(test))
    [prepared] = house.of(TaskPrepared)
    exam = {r.text for r in load_rows(house.artifacts.get(prepared.evaluation_set), EvalRow)}
    count = sum(row.text in exam for row in near)
    assert count
    assert prepared.dropped == {"near-duplicate of a row of the locked set": count}
    assert prepared.rows == len(ROWS) - count
    sentence = f"(taken out: {count} near-duplicate of a row of the locked set)"
    assert sentence in narrate(prepared)
    assert sentence in await told_of(house)


async def test_a_name_in_the_catalogue_is_a_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "sets" / "mail"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, lines(ROWS))))
    async with built_house(tmp_path, catalogue=tmp_path / "sets") as house:
        closed = await started(house, None, data_set="mail")
        assert closed.outcome == "promoted", closed.reason
        assert house.of(TaskPrepared)[0].source == "mail"


async def test_the_log_of_a_run_tells_the_price_that_its_controller_was_given(
    tmp_path: Path,
) -> None:
    async with built_house(tmp_path, hour_price=2.5) as house:
        await started(house, lines(ROWS))
        told = await told_of(house)
        assert ", which cost " in told
        assert " at 2.5 an hour" in told


async def told_of(house: House) -> str:
    """The log of the only run."""
    [entry] = await house.documents.find("runs", {})
    return run_log(TypeAdapter(Run).validate_python(entry["state"]))


async def test_entities_start_cold_too(house: House) -> None:
    words = ("Ada", "Bert", "Cleo", "Dora", "Emil", "Fritz", "Gerda", "Hugo")
    places = ("Rome", "Oslo", "Bonn", "Kyiv", "Lima", "Paris", "Turin", "Delhi")
    rows = [
        {"tokens": [who, "once", *filler, "in", where], "tags": ["B-PER", *"OOOO", "B-LOC"]}
        for at, who in enumerate(words)
        for where, filler in zip(places, _fillers(at), strict=True)
    ]
    rows += [
        {"tokens": ["nothing", *filler, str(at)], "tags": ["O"] * 4}
        for at in range(6)
        for filler in [[f"ta{at}k", f"me{at}b"]]
    ]
    closed = await started(house, rows, description="extract the entities of biographies")
    assert closed.outcome == "promoted", closed.reason
    assert house.of(ModelPromoted)[0].deployed.task.kind is TaskKind.NER


FORM = AnswerForm(chat_template="plain", system_prompt="Name the desk.")


def answered(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of written answers, each with its reasoning."""
    return [
        {"prompt": row.text, "answer": row.target, "rationale": f"It says {row.text!r}."}
        for row in rows
    ]


async def test_what_is_written_starts_cold_as_a_choice(house: House) -> None:
    closed = await started(house, answered(ROWS), description="answer who helps", form=FORM)
    assert closed.outcome == "promoted", closed.reason
    task = house.of(ModelPromoted)[0].deployed.task
    assert task == Task(TaskKind.GENERATION, tuple(sorted(LABELS)), FORM)
    [prepared] = house.of(TaskPrepared)
    assert prepared.parts["boundary pair"] > 0
    [event, *_] = house.of(TrainingSetSynthesized)
    rows = load_rows(house.artifacts.get(event.training_set), TrainingRow)
    assert all(row.rationale for row in rows)
    for recipe in house.of(IterationRequested)[0].recipes:
        assert recipe.strategy.method is Method.LORA
        assert recipe.hyperparameters.system_prompt == FORM.system_prompt
    assert house.dead == []


async def test_labels_may_be_written(house: House) -> None:
    closed = await started(house, lines(ROWS), kind="generation")
    assert closed.outcome == "promoted", closed.reason
    task = house.of(ModelPromoted)[0].deployed.task
    assert (task.kind, task.labels) == (TaskKind.GENERATION, tuple(sorted(LABELS)))


async def test_free_answers_start_cold_with_positives_alone(house: House) -> None:
    """An answer that nobody else gives makes all of them free: none looks like another."""
    alone = {"prompt": "who was there before", "answer": "nobody that is still here"}
    closed = await started(house, [*answered(ROWS), alone], description="answer who helps")
    [prepared] = house.of(TaskPrepared)
    assert prepared.task == Task(TaskKind.GENERATION, ())
    assert prepared.parts.keys() == {"positive"}
    assert closed.outcome == "promoted", closed.reason


async def test_answers_that_a_chat_model_grades_are_refused_without_one(house: House) -> None:
    form = AnswerForm(Scorer.JUDGE, chat_template="plain")
    closed = await started(house, answered(ROWS), description="answer who helps", form=form)
    assert closed.outcome == "failed"
    assert "asks a chat model, and there is none" in closed.reason
    assert not house.of(IterationRequested)


def _fillers(at: int) -> list[list[str]]:
    return [[f"ra{at}{n}p", f"so{at}{n}m"] for n in range(8)]


ROW, OTHER = {"text": "my parcel is lost", "label": "a"}, {"text": "pay me back", "label": "b"}
ASKED = {"prompt": "2 + 3", "answer": "5"}
MORE = [{"text": "where did it go", "label": "a"}, {"text": "a refund please", "label": "b"}]


@pytest.mark.parametrize(
    ("rows", "more", "sentence"),
    [
        (None, {}, "PIONEER_LLM_BASE_URL"),
        ([ROW, OTHER, MORE[0]], {}, "label 'b' has one example (train.jsonl:2): give it 2"),
        (
            [ROW, OTHER, *MORE, ROW | {"label": "b"}],
            {},
            "train.jsonl:1 and train.jsonl:5 say the same",
        ),
        ([ROW, OTHER, *MORE], {"kind": "telepathy"}, "'telepathy' is unknown: give one of"),
        ([ROW, OTHER, *MORE], {"kind": "ner"}, "the rows are of classification"),
        ([ROW, OTHER, *MORE], {"kind": "generation", "base_model": None}, "--base-model"),
        ([ROW, OTHER, *MORE], {"form": AnswerForm()}, "leave the form out"),
        (None, {"description": "summarise news"}, "PIONEER_LLM_BASE_URL"),
        ([ASKED, ASKED | {"answer": "6"}], {}, "train.jsonl:1 and train.jsonl:2 say the same"),
        ([ASKED], {}, "the task has one example (train.jsonl:1): give it 2"),
        ([ASKED | {"answer": "so " * 65}], {}, "train.jsonl:1: 'so so so"),
        ([ASKED, ROW], {}, "train.jsonl:2 has no 'prompt'"),
        ([ASKED, ASKED | {"prompt": ""}], {}, "train.jsonl:2: prompt '' says nothing"),
        ([ROW, OTHER, *MORE], {"test": [ROW]}, "test.jsonl:1 says what train.jsonl:1 says"),
        ([ROW, MORE[0]], {}, "leaves nothing to decide"),
        ([ROW, OTHER, *MORE], {"labels": ("a",)}, "leaves nothing to decide"),
        ([ROW, OTHER, *MORE], {"labels": ("a", "c")}, "train.jsonl:2: 'b' is not one of the 2"),
        ([ROW, OTHER, *MORE], {"labels": ("a", "b", "c")}, "label 'c' has no example"),
        ([{"question": "q", "reply": "a"}], {}, "the form of no task that can be started"),
        ([{"tokens": ["Ada"], "tags": ["I-PER"]}], {}, "train.jsonl:1: tag 1 is 'I-PER'"),
        ([], {}, "train.jsonl has no rows"),
        ([ROW, OTHER, *MORE], {}, "nothing shows that a model is better than chance"),
        (None, {"data_set": "no/where"}, "data set 'no/where'"),
        ([ROW], {"data_set": "no/where"}, "give one"),
    ],
)
async def test_what_cannot_be_learned_is_refused_in_a_sentence(
    house: House, rows: list[dict[str, Any]] | None, more: dict[str, Any], sentence: str
) -> None:
    closed = await started(house, rows, **more)
    assert closed.outcome == "failed"
    assert sentence in closed.reason
    assert [event.reason for event in house.of(TaskRefused)] == [closed.reason]
    # Where `pioneer runs` finds it.
    [kept] = await house.documents.find("refused_tasks", {})
    assert kept["state"]["run_id"] == closed.run_id
    assert (kept["state"]["outcome"], kept["state"]["reason"]) == ("failed", closed.reason)
    assert house.of(IterationRequested) == []
    assert house.dead == []


def author(call: ChatCall) -> Reply:
    """A chat model that writes in one way of saying of each label, and once of another label."""
    match call.schema_name:
        case "propose_labels":
            return said({"labels": [{"name": n, "meaning": f"of {n}"} for n in LABELS]})
        case "write_seeds":
            label = call.schema["$defs"]["WrittenRow"]["properties"]["label"]["enum"][0]
            start = 12 * call.user.count(" written-already>")
            texts = [row.text for row in rows_of(0, 11, start=start) if row.target == label]
            slip = next(row.text for row in rows_of(0, 1, start=999) if row.target != label)
            return said({"rows": [{"text": text, "label": label} for text in (*texts, slip)]})
        case _:
            told = [line for line in call.user.splitlines() if line.startswith('"')][1:]
            return said({"read": [{"label": _meant(line)} for line in told]})


def _meant(text: str) -> str:
    return next(label for label in LABELS if WAYS[label][0] in text)


@pytest.fixture
async def written(tmp_path: Path) -> AsyncIterator[House]:
    async with built_house(tmp_path, chat=RecordedChat(author), seed_rows=16) as house:
        yield house


async def test_without_rows_a_chat_model_writes_them(written: House) -> None:
    closed = await started(written, None)
    [prepared] = written.of(TaskPrepared)
    assert prepared.source == "chat"
    assert prepared.task.labels == LABELS
    # What says the same by another number is left out.
    assert 30 < prepared.rows + sum(prepared.parts.values()) <= 3 * 16
    rows = load_rows(written.artifacts.get_folder(prepared.material)["rows.jsonl"], Row)
    # Rows whose label was read as another one are not learned.
    assert all(_meant(row.text) == row.target for row in rows)
    assert closed.outcome == "promoted", closed.reason
    calls = written.documents.collections["chat_calls"].values()
    assert {call["run_id"] for call in calls} == {closed.run_id}


NAMES = {
    "PER": ("Ada", "Bert", "Cleo", "Dora", "Emil", "Fritz", "Gerda", "Hugo"),
    "LOC": ("Rome", "Oslo", "Bonn", "Kyiv", "Lima", "Paris", "Turin", "Delhi"),
}


def named_in(text: str) -> list[dict[str, str]]:
    return [
        {"type": kind, "words": word}
        for kind, names in NAMES.items()
        for word in names
        if word in text.split()
    ]


def tagger_author(call: ChatCall) -> Reply:
    """Writes texts of the sort asked for, once with a name that is not there."""
    match call.schema_name:
        case "propose_entity_types":
            return said({"types": [{"name": kind, "meaning": "a name"} for kind in NAMES]})
        case "write_entity_seeds":
            turn = call.user.count(" written-already>")
            sort = next((k for k in NAMES if f"of the type {k};" in call.user), None)
            names = NAMES[sort] if sort else ("nothing",) * 8
            texts = [
                " ".join([name, *filler[turn % 2 :], f"w{turn}{at}"])
                for at, (name, filler) in enumerate(zip(names, _fillers(turn), strict=True))
            ]
            rows = [{"text": text, "entities": named_in(text)} for text in texts]
            slip = {"text": "who was it then", "entities": [{"type": "PER", "words": "Zoe"}]}
            return said({"rows": [*rows, slip]})
        case _:
            told = [line for line in call.user.splitlines() if line.startswith('"')][1:]
            return said({"read": [{"entities": named_in(line.strip('"'))} for line in told]})


async def test_without_rows_a_chat_model_writes_texts_with_their_entities(tmp_path: Path) -> None:
    async with built_house(tmp_path, chat=RecordedChat(tagger_author), seed_rows=20) as house:
        closed = await started(house, None, description="extract entities of biographies")
        [prepared] = house.of(TaskPrepared)
        assert prepared.source == "chat"
        assert prepared.task == Task(TaskKind.NER, ("LOC", "PER"))
        rows = load_rows(house.artifacts.get_folder(prepared.material)["rows.jsonl"], Row)
        assert {len(read_answer(row.target)) for row in rows} == {0, 1}
        assert all("Zoe" not in row.target for row in rows)
        assert closed.outcome == "promoted", closed.reason


def clerk(call: ChatCall) -> Reply:
    """Writes sums, every fourth of them wrong; asked again it counts rightly."""
    if call.schema_name == "write_answer_seeds":
        kind = call.user.splitlines()[0]
        base = sum(map(ord, kind)) + 40 * call.user.count(" written-already>")
        sums = [(base + n, 3 * n + 1) for n in range(12)]
        rows = [
            {"request": f"add {a} and {b}", "answer": str(a + b + (n % 4 == 0))}
            for n, (a, b) in enumerate(sums)
        ]
        return said({"rows": rows})
    told = [line for line in call.user.splitlines() if line.startswith('"add')]
    counted = [sum(int(w) for w in line.strip('"').split() if w.isdigit()) for line in told]
    return said({"read": [{"answer": f"That is {count}"} for count in counted]})


async def test_without_rows_a_chat_model_writes_requests_and_answers(tmp_path: Path) -> None:
    form = AnswerForm(extractor=Extractor.NUMBER, chat_template="plain")
    async with built_house(tmp_path, chat=RecordedChat(clerk), seed_rows=20) as house:
        await started(house, None, description="solve sums", form=form)
        [prepared] = house.of(TaskPrepared)
        assert (prepared.source, prepared.task) == ("chat", Task(TaskKind.GENERATION, (), form))
        rows = load_rows(house.artifacts.get_folder(prepared.material)["rows.jsonl"], Row)
        assert len(rows) > 20
        for row in rows:
            a, b = (int(word) for word in row.text.split() if word.isdigit())
            assert row.target == str(a + b)


async def test_answers_that_nothing_confirms_are_not_written(tmp_path: Path) -> None:
    form = AnswerForm(Scorer.JUDGE, chat_template="plain")
    async with built_house(tmp_path, chat=RecordedChat(clerk)) as house:
        closed = await started(house, None, description="answer letters", form=form)
        assert closed.outcome == "failed"
        assert "cannot be confirmed by the scorer 'chat_judge'" in closed.reason
