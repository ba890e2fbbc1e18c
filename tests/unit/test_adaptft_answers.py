"""Perturbed logs of tasks without labels: right answers move, and there are wrong ones."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.adaptft.answers import FreeAnswers, LetterAnswers, NumberAnswers, answers_of
from bench.adaptft.arms import ARMS, StageOutcome, left_out, naive, random_augmentation
from bench.adaptft.entity_answers import EntityAnswers
from bench.adaptft.learning import CLASSIFIER, GEMMA, TAGGER, Learning, writer
from bench.adaptft.logs import LogRow, ScenarioData, build, judged
from bench.adaptft.measures import at_chance, chance, measure_of
from bench.adaptft.noise import FIXABLE
from bench.adaptft.phrases import Templates
from bench.adaptft.results import Results, digest_of, stage_row
from bench.adaptft.runner import Case
from bench.adaptft.scenarios import SCENARIOS, Scenario, Sizes, load_rows, quick
from bench.adaptft.scoring import score
from bench.adaptft.tables import report
from examples.demo.workload import Example
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.entities import Entity, read_answer, write_answer
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput

PLACES = ("Oslo", "Lima", "New York", "Rio de Janeiro", "Kyoto", "Bern")
PEOPLE = ("Ada Lovelace", "Alan Turing", "Grace Hopper", "Kurt", "Emmy Noether")
KINDS = ("LOC", "PER")
FREE = AnswerForm(Scorer.ROUGE_2, threshold=0.5, chat_template="plain", answer_tokens=40)
NUMBER = AnswerForm(extractor=Extractor.NUMBER, chat_template="plain", answer_tokens=8)
SIZES = Sizes(clean_per_label=10, first_test=20, stage_rows=60, poison=(0.25, 0.4))
# What the logs and trainings of classification amount to, by seed 1: kept results hang on it.
KEPT = {
    "support_desk": "68082f513c7377fb",
    "clinc150": "5f0c453c541ebe30",
}


def tagged(count: int) -> list[Example]:
    """Short texts of a person, a place or neither."""
    found: list[Example] = []
    for number in range(count):
        rng = Random(number)
        person, place, year = rng.choice(PEOPLE), rng.choice(PLACES), 1800 + number
        form = rng.choice(("{p} came to {l} in {y} .", "In {y} nobody left .", "{l} saw {p} {y} ."))
        text = form.format(p=person, l=place, y=f"{year} {rng.getrandbits(40):x}")
        named = [(person, "PER"), (place, "LOC")]
        entities = [
            Entity(at, at + len(words), kind)
            for words, kind in named
            if (at := text.find(words)) >= 0
        ]
        found.append(Example(text, write_answer(entities, text)))
    return found


def prompts(count: int, answer: str) -> list[Example]:
    return [
        Example(
            f"Tom has {n} apples and {n % 7} pears, {Random(n).getrandbits(40):x}. How many?",
            answer.format(n=n, m=n + n % 7),
        )
        for n in range(count)
    ]


def made(learning: Learning, rows: list[Example]) -> ScenarioData:
    return build("t", rows, SIZES, seed=3, templates=Templates.DEVELOPMENT, learning=learning)


NER = made(TAGGER, tagged(400))
SUMS = made(writer(NUMBER, epochs=1, free=True), prompts(300, "{m}"))
TEXTS = made(writer(FREE, epochs=1, free=True), prompts(300, "Tom counted {n} and got {m} then"))
EVERY = {"ner": NER, "sums": SUMS, "texts": TEXTS}


def rows_of(data: ScenarioData) -> list[LogRow]:
    return [row for stage in data.stages for row in (*stage.train, *stage.test)]


@pytest.mark.parametrize("name", KEPT)
def test_logs_of_classification_stay_as_kept_results_know_them(name: str) -> None:
    data = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    scenario = SCENARIOS[name]
    if not (data / scenario.folder / scenario.file).exists():
        pytest.skip(f"{data / scenario.folder}: the public data sets are not there")
    case = Case(scenario, 1, Templates.EVALUATION, data, Path("unused"))
    assert digest_of(case.build()) == KEPT[name]


def test_a_gpu_makes_other_results_than_the_cpu() -> None:
    assert digest_of(NER, "cuda") != digest_of(NER) == digest_of(NER, "cpu")


@pytest.mark.parametrize("name", EVERY)
def test_every_answer_of_a_log_can_be_trained_on(name: str) -> None:
    data = EVERY[name]
    rows = rows_of(data)
    assert {flag for row in rows for flag in row.flags} >= {"label_flip", "typos", "off_domain"}
    for row in rows:
        for answer in (row.truth, row.roll.wrong):
            assert data.behaviour.objection(answer, data.task, row.text) is None, (answer, row)


@pytest.mark.parametrize("name", EVERY)
def test_a_flipped_label_is_another_answer(name: str) -> None:
    data = EVERY[name]
    flipped = [row for row in rows_of(data) if "label_flip" in row.flags and row.answerable]
    assert flipped
    for row in flipped:
        (logged,) = judged([row], [row.truth], data.behaviour.is_right)
        assert logged.corrected is not None
        assert not data.behaviour.is_right(logged.corrected, row.truth)


@pytest.mark.parametrize("name", EVERY)
def test_naive_and_augmented_rows_can_be_trained_on(name: str) -> None:
    data = EVERY[name]
    train = data.stages[1].train
    log = judged(train, ["no answer of any task"] * len(train), data.behaviour.is_right)
    for arm in (naive, random_augmentation):
        rows = arm(data, [log]).rows
        assert rows
        for row in rows:
            assert data.behaviour.objection(row.target, data.task, row.text) is None
    assert (len(naive(data, [log]).rows) == len(train)) == (name == "texts")


def test_entities_of_a_noisy_text_are_those_of_the_original() -> None:
    noisy = [row for row in rows_of(NER) if row.noisy and row.answerable]
    assert noisy
    for row in noisy:
        # Typos change the words of an entity, never what it is; an end that is cut off takes its
        # entities along.
        before = sorted(e.type for e in read_answer(of_text(row.original)))
        after = sorted(e.type for e in read_answer(row.truth))
        assert after == before or (set(row.flags) & {"truncation", "near_duplicate"}), row


def of_text(text: str) -> str:
    return next(example.label for example in tagged(400) if example.text == text)


ANSWERS = EntityAnswers(KINDS)
TEXT = "In 1912 Ada Lovelace left Rio de Janeiro for Oslo"
TRUTH = write_answer([Entity(8, 20, "PER"), Entity(26, 40, "LOC"), Entity(45, 49, "LOC")], TEXT)


@pytest.mark.parametrize(
    ("after", "names"),
    [
        (TEXT.upper(), ["ADA LOVELACE", "RIO DE JANEIRO", "OSLO"]),
        (f"hello!! {TEXT} ...", ["Ada Lovelace", "Rio de Janeiro", "Oslo"]),
        (TEXT.replace("Lovelace", "Lovlacee"), ["Ada Lovlacee", "Rio de Janeiro", "Oslo"]),
        (TEXT.replace("Oslo", "0slo"), ["Ada Lovelace", "Rio de Janeiro", "0slo"]),
        (TEXT[:41], ["Ada Lovelace", "Rio de Janeiro"]),
        (
            "for Oslo In 1912 Ada Lovelace left Rio de Janeiro",
            ["Ada Lovelace", "Rio de Janeiro", "Oslo"],
        ),
    ],
)
def test_entities_are_found_again_where_noise_put_them(after: str, names: list[str]) -> None:
    moved = ANSWERS.moved(TRUTH, TEXT, after)
    assert moved is not None
    assert sorted(after[e.start : e.end] for e in read_answer(moved)) == sorted(names)


def test_noise_that_tears_an_entity_apart_is_refused() -> None:
    assert ANSWERS.moved(TRUTH, TEXT, "In 1912 Lovelace left Rio Ada de for Janeiro Oslo") is None


def test_a_text_that_was_replaced_has_no_entity_left() -> None:
    assert ANSWERS.left(TRUTH, TEXT, "what is the time") == "[]"
    assert ANSWERS.left(TRUTH, TEXT, "") == "[]"


@given(st.integers(0, 10_000))
def test_wrong_entities_are_of_another_type_or_place_missed_or_invented(seed: int) -> None:
    wrong = ANSWERS.wrong(TRUTH, TEXT, Random(seed))
    found, right = {*read_answer(wrong)}, {*read_answer(TRUTH)}
    assert len(found ^ right) in (1, 2)
    invented = read_answer(ANSWERS.wrong("[]", "nobody came", Random(seed)))
    assert len(invented) == 1 and invented[0].type in KINDS


def test_a_text_without_words_has_no_wrong_entity() -> None:
    assert ANSWERS.wrong("[]", " ?", Random(1)) == "[]"


@pytest.mark.parametrize("name", FIXABLE)
@given(example=st.sampled_from(tagged(60)), seed=st.integers(0, 100))
def test_moved_entities_are_answers_of_the_noisy_text(
    name: str, example: Example, seed: int
) -> None:
    text = FIXABLE[name][1](example.text, Random(seed), Templates.DEVELOPMENT)
    moved = ANSWERS.moved(example.label, example.text, text)
    if moved is not None:
        task = Task(TaskKind.NER, KINDS)
        assert NER.behaviour.objection(moved, task, text) is None
        assert len(read_answer(moved)) <= len(read_answer(example.label))


@given(st.integers(-999, 9999), st.integers(0, 1000))
def test_a_wrong_number_is_another_number(right: int, seed: int) -> None:
    text = f"there are {right} and 12 more"
    wrong = NumberAnswers().wrong(str(right), text, Random(seed))
    assert not SUMS.behaviour.is_right(wrong, str(right))
    assert SUMS.behaviour.objection(wrong, SUMS.task, text) is None


def test_numbers_and_choices_that_an_answer_rests_on_stay() -> None:
    assert NumberAnswers().moved("5", "2 and 3", "2 AND 3") == "5"
    assert NumberAnswers().moved("5", "2 and 3", "2 and") is None
    letters, text = LetterAnswers(("A", "B")), "which?\nA. one\nB. two"
    assert letters.moved("B", text, text.upper()) == "B"
    assert letters.moved("B", text, "which?\nA. one") is None
    assert letters.moved("A", text, "A which?\nB. two") is None
    animals = "which?\nA. a small dog\nB. a fish"
    assert letters.moved("A", animals, animals.replace("small", "smal")) == "A"
    assert letters.moved("A", animals, "which?\nA. a small\nB. dog a fish") is None


def test_an_entity_that_is_said_twice_is_no_longer_known() -> None:
    before = "Ada Lovelace was born in Bern"
    truth = write_answer([Entity(25, 29, "LOC")], before)
    answers = EntityAnswers(KINDS)
    assert answers.moved(truth, before, f"{before} {before}") is None
    assert answers.moved(truth, before, f"well, {before}") is not None


def test_a_wrong_text_is_the_answer_of_another_row() -> None:
    pool = FreeAnswers(("a b", "a b c", "x y"), str.startswith)
    assert {pool.wrong("a b", "", Random(seed)) for seed in range(9)} == {"x y"}


@pytest.mark.parametrize("name", ["wikigold", "snips-gen", "arc_challenge", "svamp", "scitldr"])
def test_scenarios_hold_what_their_task_asks_for(name: str) -> None:
    scenario = SCENARIOS[name]
    learning = scenario.learning
    if learning.kind is TaskKind.GENERATION:
        assert learning.base_model == GEMMA and learning.form is not None
    small, large = quick(scenario).sizes, scenario.on("cuda").sizes
    assert small.stage_rows <= scenario.sizes.stage_rows <= large.stage_rows
    data = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not (data / scenario.folder / scenario.file).exists():
        pytest.skip(f"{data / scenario.folder}: the public data sets are not there")
    for chosen in (scenario, scenario.on("cuda")):
        built = Case(chosen, 101, Templates.DEVELOPMENT, data, Path("unused")).build()
        assert len(built.stages) == 4 and built.test
        bad = [r for r in built.test if built.behaviour.objection(r.truth, built.task, r.text)]
        assert not bad


def test_cleanlab_is_left_out_where_there_are_no_labels() -> None:
    for data, why in ((NER, "name entities"), (SUMS, "free"), (TEXTS, "free")):
        assert why in (left_out("naive-cleanlab", data.task) or "")
        assert not any(left_out(arm, data.task) for arm in ARMS if arm != "naive-cleanlab")
    labelled = Task(TaskKind.GENERATION, ("a", "b"), AnswerForm())
    assert left_out("naive-cleanlab", labelled) is None
    assert left_out("naive-cleanlab", Task(TaskKind.CLASSIFICATION, ("a", "b"))) is None


def test_scores_are_by_the_measure_of_the_task() -> None:
    assert [measure_of(data.task) for data in EVERY.values()] == [
        "entity F1",
        "accuracy",
        "ROUGE-2",
    ]
    for data in EVERY.values():
        right = score(data, [row.truth for row in data.test])
        assert right.overall == right.clean == right.noisy == pytest.approx(1.0)
        assert score(data, ["?"] * len(data.test)).overall == 0
    half = [row.truth.replace("and got", "or had") for row in TEXTS.test]
    assert 0 < score(TEXTS, half).overall < 1
    assert score(SUMS, [f"It is {row.truth}." for row in SUMS.test]).overall == 1


def test_a_first_model_at_chance_is_reported_as_such(tmp_path: Path) -> None:
    assert chance(NER) == 0 and at_chance(NER, 0) and not at_chance(NER, 0.1)
    assert at_chance(SUMS, chance(SUMS)) and not at_chance(SUMS, 0.9)
    results = Results(tmp_path / "adaptft.json")
    results.describe("python -m bench.adaptft", {"sizes": {}})
    for data, answers in ((SUMS, ["0"] * len(SUMS.test)), (NER, [row.truth for row in NER.test])):
        outcome = StageOutcome(0, tuple(answers), True)
        row = stage_row(data, "naive", outcome) | {"scenario": measure_of(data.task)}
        results.add(row, [])
    text = report(results.content)
    assert text.count("**At chance**") == 1
    assert text.index("## accuracy, accuracy") < text.index("**At chance**")
    assert text.index("**At chance**") < text.index("## entity F1, entity F1")


def test_rows_of_the_wrong_form_and_long_answers_are_named_or_left_out(tmp_path: Path) -> None:
    lines = [{"prompt": f"question {n * 7919}", "answer": "word " * n} for n in (1, 2, 3, 30)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    learning = writer(FREE, epochs=1, free=True)
    scenario = Scenario("x", str(tmp_path), SIZES, learning=learning, most_words=3)
    assert [len(row.label.split()) for row in load_rows(scenario, tmp_path)] == [1, 2, 3]
    broken = Scenario("x", str(tmp_path), SIZES, learning=TAGGER)
    with pytest.raises(BadInput, match=r"train\.jsonl:1: each line must be .*tokens"):
        load_rows(broken, tmp_path)


def test_classification_keeps_its_recipe() -> None:
    recipe = CLASSIFIER.recipe(1)
    assert recipe.name == "full lr0.0002 ×5" and recipe.hyperparameters.batch_size == 32
    assert answers_of(Task(TaskKind.CLASSIFICATION, ("a", "b")), []).asked_for == ("a", "b")
