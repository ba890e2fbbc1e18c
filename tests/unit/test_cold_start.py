"""The pure parts of a cold start: family, rows, first set, target, plan, first gate and record."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.controller.domain import registry
from services.controller.domain.cold_start import begin, first_plan
from services.controller.domain.moves import RecipeGrid
from services.controller.domain.registry import Checkpoint
from services.controller.domain.run_log import run_log
from services.controller.domain.states import Iterating
from services.synthesizer.adapters.hugging_face import HuggingFaceCatalogue
from services.synthesizer.domain.choices import choices
from services.synthesizer.domain.exam import ExamSpec, hold_out
from services.synthesizer.domain.families import base_of, decide_family
from services.synthesizer.domain.first_set import compose_first
from services.synthesizer.domain.survey import target_from, word_baseline
from services.synthesizer.domain.task_data import check_rows, task_of
from services.trainer.domain.plan import plan_training
from services.verifier.domain.evaluation import EvaluationSets, evaluate
from services.verifier.domain.first import as_first, commonest_answers, judge_first
from services.verifier.domain.gates import explain
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.evaluation import Admitted, NotBetter
from shared.domain.ids import derive_id
from shared.domain.pipeline import DataSpec, Method
from shared.domain.row_files import PlacedRow, kind_of, read_rows
from shared.domain.rows import EvalPart, EvalRow, Role, Row, TrainingRow, dump_rows, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.tested_answers import with_tests
from shared.errors import BadInput
from shared.events import Composition, TaskPrepared, TrainingSetSynthesized
from tests.unit.run_builders import ref

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TASK = Task(TaskKind.CLASSIFICATION, ("a", "b"))


def prepared(**more: Any) -> TaskPrepared:
    fields: dict[str, Any] = {
        "id": "prepared",
        "model": "desk",
        "run_id": "run",
        "submission": "submission",
        "description": "classify support messages",
        "task": TASK,
        "base_model": "minilm",
        "material": ref("material"),
        "evaluation_set": ref("locked"),
        "rows": 400,
        "parts": {"positive": 60},
        "source": "train.jsonl",
        "baseline": 0.8,
        "target": 0.9,
    }
    return TaskPrepared(**(fields | more))


# Which family


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("classify support messages by intent", TaskKind.CLASSIFICATION),
        ("Detect spam in SMS", TaskKind.CLASSIFICATION),
        ("extract the entities of news", TaskKind.NER),
        ("tag mentions of diseases", TaskKind.NER),
        ("route answers to the right team by topic", TaskKind.CLASSIFICATION),
        ("summarise news", TaskKind.GENERATION),
    ],
)
def test_the_description_says_the_family(said: str, kind: TaskKind) -> None:
    assert decide_family(said, asked=None, rows=None) is kind


def test_rows_and_wishes_go_before_the_description() -> None:
    said = "answer questions"
    assert decide_family(said, asked=None, rows=TaskKind.NER) is TaskKind.NER
    assert decide_family(said, asked="classification", rows=None) is TaskKind.CLASSIFICATION
    labelled = TaskKind.CLASSIFICATION
    assert decide_family(said, asked=None, rows=labelled) is labelled
    # Labels may be written, where somebody says so.
    assert decide_family(said, asked="generation", rows=labelled) is TaskKind.GENERATION


def test_only_what_writes_needs_its_base_named() -> None:
    assert "MiniLM" in base_of(TaskKind.NER, None)
    assert base_of(TaskKind.GENERATION, "gemma") == "gemma"
    with pytest.raises(BadInput, match="name one with --base-model, such as"):
        base_of(TaskKind.GENERATION, None)


@pytest.mark.parametrize(
    ("said", "asked", "rows", "sentence"),
    [
        ("make it good", None, None, "does not say which family"),
        ("classify", "generation", TaskKind.NER, "the rows are of ner"),
        ("classify", "ner", TaskKind.GENERATION, "the rows are of generation"),
        ("classify", "sorcery", None, "'sorcery' is unknown: give one of .*, ner, generation$"),
        ("classify", "ner", TaskKind.CLASSIFICATION, "the rows are of classification"),
    ],
)
def test_a_family_that_cannot_be_decided_is_refused(
    said: str, asked: str | None, rows: TaskKind | None, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        decide_family(said, asked=asked, rows=rows)


# Rows as their owner wrote them


def test_rows_keep_their_place_and_blank_lines_are_none() -> None:
    data = b'{"text": "one", "label": "a"}\n\n{"text": "two", "label": 7}\n'
    assert kind_of(data, name="x.jsonl") is TaskKind.CLASSIFICATION
    rows = read_rows(data, TaskKind.CLASSIFICATION, name="x.jsonl")
    assert [(r.text, r.target, r.place) for r in rows] == [
        ("one", "a", "x.jsonl:1"),
        ("two", "7", "x.jsonl:3"),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"text": "one"}', "x:2 has no 'label'"),
        ('{"text": " ", "label": "a"}', "x:2: text ' ' says nothing"),
        ('{"text": "one", "label": null}', "x:2: label None is no name"),
        ("[1]", "x:2 is no JSON object"),
        ("{", "x:2 is no JSON object"),
    ],
)
def test_a_row_that_does_not_fit_is_named(line: str, sentence: str) -> None:
    data = b'{"text": "one", "label": "a"}\n' + line.encode()
    with pytest.raises(BadInput, match=sentence):
        read_rows(data, TaskKind.CLASSIFICATION, name="x")


WROTE = b'{"prompt": "2 + 3", "answer": " 5 ", "rationale": "three after two"}\n'


def test_written_answers_are_rows_with_their_reasoning() -> None:
    assert kind_of(WROTE, name="x") is TaskKind.GENERATION
    [row] = read_rows(WROTE, TaskKind.GENERATION, name="x")
    assert (row.text, row.target, row.rationale) == ("2 + 3", "5", "three after two")
    assert row.labels == ()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"prompt": "one"}', "x:1 has no 'answer'"),
        ('{"prompt": " ", "answer": "a"}', "x:1: prompt ' ' says nothing"),
        ('{"prompt": "one", "answer": 7}', "x:1: answer 7 is no text"),
        ('{"prompt": "one", "answer": ""}', "x:1: answer '' is no text"),
        ('{"prompt": "one", "answer": "a", "rationale": []}', "x:1: rationale .. is no text"),
    ],
)
def test_a_written_row_that_does_not_fit_is_named(line: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_rows(line.encode(), TaskKind.GENERATION, name="x")


def test_tests_go_below_an_answer_that_is_run() -> None:
    line = b'{"prompt": "add", "answer": "a = 1", "tests": ["assert a", "assert a == 1"]}'
    [plain] = read_rows(line, TaskKind.GENERATION, name="x")
    assert plain.target == "a = 1"
    [tested] = read_rows(line, TaskKind.GENERATION, name="x", tested=True)
    assert tested.target == with_tests("a = 1", "assert a\nassert a == 1")
    assert tested.id != plain.id
    with pytest.raises(BadInput, match="x:1: tests must be"):
        read_rows(
            line.replace(b'["assert a", "assert a == 1"]', b"7"),
            TaskKind.GENERATION,
            name="x",
            tested=True,
        )


# Which task


def written_rows(*pairs: tuple[str, str]) -> list[PlacedRow]:
    return [
        PlacedRow(derive_id("row", text, said), text, said, f"x:{at}", ())
        for at, (text, said) in enumerate(pairs, 1)
    ]


MANY = [(f"question {n} of {n * n}", "yes" if n % 2 else "no") for n in range(12)]


@pytest.mark.parametrize(
    ("answers", "form", "found"),
    [
        (["yes", "no"] * 6, AnswerForm(), ("no", "yes")),
        (["yes", "yes", " YES", "no"] * 3, AnswerForm(), ("no", "yes")),
        (["yes", "no"] * 3, AnswerForm(), ()),
        ([*["yes", "no"] * 9, "perhaps"], AnswerForm(), ()),
        (["7", "8"] * 6, AnswerForm(extractor=Extractor.NUMBER), ()),
        (["yes", "no"] * 6, AnswerForm(scorer=Scorer.ROUGE_2), ()),
        (["(A) no", "(B) so"] * 6, AnswerForm(extractor=Extractor.LETTER), ("A", "B")),
        ([], AnswerForm(), ()),
    ],
)
def test_answers_that_repeat_are_a_choice(
    answers: list[str], form: AnswerForm, found: tuple[str, ...]
) -> None:
    assert choices(answers, form) == found


def test_the_labels_of_what_is_written_are_those_given_then_those_of_its_rows() -> None:
    rows = written_rows(*MANY)
    assert task_of(rows, TaskKind.GENERATION).labels == ("no", "yes")
    assert (
        task_of(rows, TaskKind.GENERATION, labels=("no", "perhaps", "yes")).labels[1] == "perhaps"
    )
    labelled = [replace(row, labels=(row.target,)) for row in rows[:3]]
    assert task_of(labelled, TaskKind.GENERATION).labels == ("no", "yes")
    with pytest.raises(BadInput, match=r"the answers do not fit their form: .* a letter"):
        task_of(labelled, TaskKind.GENERATION, form=AnswerForm(extractor=Extractor.LETTER))
    with pytest.raises(BadInput, match="leave the form out"):
        task_of(labelled, TaskKind.CLASSIFICATION, form=AnswerForm())


def test_a_sign_may_be_what_an_answer_follows_from() -> None:
    rows = written_rows(("2 + 3", "5"), ("2 - 3", "-1"), ("2 + 3", "5"), ("and 7", "7"))
    free = Task(TaskKind.GENERATION, ())
    check_rows(rows, (), free)
    with pytest.raises(BadInput, match="x:1 and x:5 say the same"):
        check_rows([*rows, replace(rows[0], target="6", place="x:5")], (), free)
    with pytest.raises(BadInput, match="x:9 says what x:1 says"):
        check_rows(rows, [replace(rows[0], place="x:9")], free)


def test_two_answers_may_be_right_where_comparing_does_not_tell() -> None:
    rows = written_rows(("say hi", "Hello!"), ("say hi", "Hi there."), ("say bye", "Bye."))
    check_rows(rows, (), Task(TaskKind.GENERATION, (), AnswerForm(Scorer.JUDGE)))
    with pytest.raises(BadInput, match="say the same"):
        check_rows(rows, (), Task(TaskKind.GENERATION, (), AnswerForm(Scorer.ROUGE_L)))


def test_a_written_label_needs_a_row_to_learn_and_one_to_be_measured_on() -> None:
    task = Task(TaskKind.GENERATION, ("no", "perhaps", "yes"))
    with pytest.raises(BadInput, match="label 'perhaps' has no example"):
        check_rows(written_rows(*MANY), (), task)
    with pytest.raises(BadInput, match="'maybe' is not one of the 3 answers"):
        check_rows(written_rows(*MANY, ("who", "maybe")), (), task)


# The first training set


def rows_of(label: str, count: int, words: str = "") -> list[Row]:
    texts = [f"{words}{label}v{n}x{n} {label}w{n}y{n} {label}z{n}" for n in range(count)]
    return [Row(derive_id("row", text), text, label) for text in texts]


ROWS = rows_of("a", 120) + rows_of("b", 20)
SPEC = DataSpec(gold=0.65, hard=0.35, replay=0.0, size=80)


def composed(rows: list[Row], spec: DataSpec = SPEC, measured: tuple[str, ...] = ()) -> Any:
    return compose_first(rows, spec, sort=str, evaluation_texts=measured)


def test_the_first_set_keeps_the_label_ratio_and_its_size() -> None:
    found = composed(ROWS)
    counts = {label: sum(row.target == label for row in found.rows) for label in "ab"}
    assert counts["a"] <= 3 * counts["b"]
    assert len(found.rows) <= SPEC.size
    assert {row.role for row in found.rows} == {Role.GOLD, Role.HARD}
    assert len({row.id for row in found.rows}) == len(found.rows)


@given(st.randoms(use_true_random=False))
def test_the_first_set_is_the_same_for_rows_in_any_order(rng: random.Random) -> None:
    shuffled = list(ROWS)
    rng.shuffle(shuffled)
    assert dump_rows(composed(shuffled).rows) == dump_rows(composed(ROWS).rows)


def test_what_is_measured_is_never_in_the_first_set() -> None:
    measured = tuple(row.text for row in ROWS[:10])
    found = composed(ROWS, measured=measured)
    assert not {row.text for row in found.rows} & set(measured)
    assert sum(found.dropped.values()) >= 10


def test_few_rows_are_all_in_and_surgery_adds_hard_ones() -> None:
    few = rows_of("a", 10) + rows_of("b", 10)
    found = composed(few)
    assert (found.count(Role.GOLD), found.count(Role.HARD)) == (13, 7)
    assert found.shortfall == {Role.GOLD: 60}
    more = DataSpec(gold=0.65, hard=0.35, replay=0.0, size=40, surgical=3)
    assert len(composed(ROWS, more).rows) > len(composed(ROWS, DataSpec(size=40)).rows)


def test_free_answers_have_no_hard_rows_and_keep_their_reasoning() -> None:
    rows = [replace(row, rationale=f"as {row.id}") for row in ROWS]
    found = compose_first(
        rows, replace(SPEC, surgical=3), sort=lambda _: "an answer", evaluation_texts=()
    )
    assert {row.role for row in found.rows} == {Role.GOLD}
    assert len(found.rows) == SPEC.size
    assert all(row.rationale == f"as {row.id}" for row in found.rows)
    assert {row.target for row in found.rows} == {"a", "b"}


def test_a_row_keeps_the_place_where_a_person_mends_it() -> None:
    placed = [replace(row, place=f"mail.jsonl:{at}") for at, row in enumerate(ROWS, 1)]
    held = hold_out(placed, sort=str, spec=ExamSpec())
    assert all(row.place for row in load_rows(dump_rows(held.material), Row))
    told = {row.id: row.place for row in placed}
    found = load_rows(dump_rows(composed(list(held.material)).rows), TrainingRow)
    assert all(row.place == told[row.id] for row in found)
    assert b"place" not in dump_rows(ROWS)


def test_hard_rows_look_like_another_answer() -> None:
    near = [Row("near", "wire money av1x1 aw1y1 unless", "b")]
    found = composed(
        [*rows_of("a", 30), *rows_of("b", 30), *near],
        DataSpec(gold=0.9, hard=0.1, replay=0.0, size=20),
    )
    assert next(row.role for row in found.rows if row.id == "near") is Role.HARD


# The target


def exam_of(rows: list[Row]) -> list[EvalRow]:
    return [EvalRow(r.id, r.text, r.target, EvalPart.HELDOUT, False, locked=True) for r in rows]


def test_the_target_leaves_a_tenth_of_what_counting_words_gets_wrong() -> None:
    assert target_from(0.8) == 0.98
    assert target_from(0.0) == 0.9
    assert target_from(1.0) == 0.99


def test_words_that_tell_the_label_give_a_baseline() -> None:
    told = rows_of("a", 20, "money ") + rows_of("b", 20, "parcel ")
    asked = [Row("x", "money please", "a"), Row("y", "parcel please", "b")]
    assert word_baseline(told, exam_of(asked), label=str) == 1.0
    assert word_baseline(told[:20], exam_of(asked), label=None) == 0.5
    assert word_baseline([], exam_of(asked), label=str) == 0.0


# The gate of a first version


def judged(right: int) -> Admitted | NotBetter:
    """Of twenty rows, twelve of a; the candidate answers the first ``right`` as they should be."""
    exam = exam_of(rows_of("a", 12) + rows_of("b", 8))
    said = {r.id: r.target if at < right else "neither" for at, r in enumerate(exam)}
    report = evaluate("c", EvaluationSets(exam, {}), said, commonest_answers(exam))
    return judge_first(as_first(report))


def test_all_right_is_admitted_and_nothing_can_regress() -> None:
    verdict = judged(20)
    assert isinstance(verdict, Admitted)
    assert verdict.report.score_before == 0.6
    assert verdict.report.regressions == 0
    assert verdict.report.warnings == ()
    assert "20 of 20 rows of the locked set are right, 12 by" in explain(verdict)


@pytest.mark.parametrize("right", [0, 12, 14])
def test_what_chance_could_do_is_not_promoted(right: int) -> None:
    verdict = judged(right)
    assert isinstance(verdict, NotBetter)
    assert explain(verdict).startswith("not better: ")


# The plan and the record


def test_the_first_plan_needs_no_parent() -> None:
    plan = first_plan(prepared(), recipes=RecipeGrid())
    assert [recipe.strategy.method for recipe in plan.recipes] == list(Method)
    for recipe in plan.recipes:
        assert recipe.strategy.congruence == recipe.strategy.blended == 0
        assert recipe.hyperparameters.base_model == "minilm"
    assert (plan.data.replay, plan.data.noisy) == (0, 0)
    writes = first_plan(prepared(task=Task(TaskKind.GENERATION, ())), recipes=RecipeGrid())
    assert {recipe.hyperparameters.max_tokens for recipe in writes.recipes} == {512}
    assert "cold start" in run_log(begin(prepared(), plan, NOW))


def test_the_first_training_has_no_parent() -> None:
    run = begin(prepared(), first_plan(prepared(), recipes=RecipeGrid()), NOW)
    assert isinstance(run.state, Iterating)
    event = TrainingSetSynthesized(
        id="set",
        model="desk",
        run_id="run",
        iteration=1,
        deployed=run.deployed,
        evaluation_set=run.evaluation_set,
        training_set=ref("set"),
        manifest=ref("manifest"),
        composition=Composition(rows=4, gold=4, hard=0, replay=0, labels=2),
        recipes=run.state.recipes,
    )
    spec = plan_training(event)
    assert spec.parent is None
    assert len(spec.candidates) == 2


def test_a_first_promotion_founds_the_record() -> None:
    checkpoint = Checkpoint(ref("new"), "minilm", ref("rows"), ref("locked"), 0.9, "run")
    record = registry.found("desk", TASK, checkpoint, cause="run", reason="good", now=NOW)
    found = registry.deployed(record)
    assert found.trained
    assert (found.version.number, found.version.evaluation_set) == (1, ref("locked"))
    assert found.earlier_evaluations == (ref("locked"),)
    again = registry.promote(record, checkpoint, cause="run", reason="good", now=NOW)
    assert again is record


# Data sets by name


class Part(list[dict[str, Any]]):
    """A part of a data set as ``datasets`` gives it, as far as it is read."""

    def __init__(self, rows: list[dict[str, Any]], features: dict[str, Any]) -> None:
        super().__init__(rows)
        self.features = features
        self.column_names = list(features)


def named(*names: str) -> Any:
    return SimpleNamespace(names=list(names))


def hub(monkeypatch: pytest.MonkeyPatch, parts: Any) -> HuggingFaceCatalogue:
    def load_dataset(name: str, config: str = "") -> Any:
        if isinstance(parts, Exception):
            raise parts
        return parts[config] if config else parts

    module = SimpleNamespace(load_dataset=load_dataset)
    monkeypatch.setitem(__import__("sys").modules, "datasets", module)
    return HuggingFaceCatalogue()


def test_a_data_set_of_the_hub_becomes_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    train = Part([{"sms": "win now", "label": 1}], {"sms": None, "label": named("ham", "spam")})
    found = hub(monkeypatch, {"train": train}).load("sms_spam")
    assert found.rows == b'{"text": "win now", "label": "spam"}\n'
    assert found.test == b""


def test_a_data_set_of_several_configurations_is_named_with_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = Part([{"text": "win", "label": "spam"}], {"text": None, "label": None})
    found = hub(monkeypatch, {"plus": {"train": train}}).load("owner/set:plus")
    assert found.rows == b'{"text": "win", "label": "spam"}\n'
    missing = ValueError("Config name is missing.\nPlease pick one: ['plus', 'small']")
    with pytest.raises(BadInput, match=r"missing\. Please pick one: .'plus', 'small'.") as refused:
        hub(monkeypatch, missing).load("owner/set")
    assert "(owner/name:configuration)" in str(refused.value)


def test_what_a_prompt_speaks_of_goes_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"instruction": "Translate.", "context": "Guten Tag", "response": "Hello"},
        {"instruction": "Say hi.", "context": "", "response": "Hi"},
    ]
    part = Part(rows, dict.fromkeys(rows[0]))
    found = hub(monkeypatch, {"train": part}).load("dolly").rows.splitlines()
    assert [json.loads(line) for line in found] == [
        {"prompt": "Translate.\n\nGuten Tag", "answer": "Hello"},
        {"prompt": "Say hi.", "answer": "Hi"},
    ]


def test_tags_of_the_hub_become_names(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = SimpleNamespace(feature=named("O", "B-PER"))
    part = Part([{"tokens": ["Ada"], "ner_tags": [1]}], {"tokens": None, "ner_tags": tags})
    found = hub(monkeypatch, {"train": part, "test": part}).load("people")
    assert found.rows == found.test == b'{"tokens": ["Ada"], "tags": ["B-PER"]}\n'


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (OSError("no route to host"), "cannot be loaded .no route to host."),
        ({"validation": Part([], {})}, "one named train is needed"),
        ({"train": Part([], {"premise": None})}, "has the columns premise"),
    ],
)
def test_a_data_set_that_cannot_be_used_is_said(
    monkeypatch: pytest.MonkeyPatch, parts: Any, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        hub(monkeypatch, parts).load("x")
