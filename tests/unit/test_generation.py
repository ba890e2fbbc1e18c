"""What is right, wrong and common among answers that a language model writes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.controller.domain.moves import PROTECTING, RecipeGrid
from shared.domain.answer_form import ANSWER_MARK, AnswerForm, Extractor, Scorer
from shared.domain.answer_scores import extract, rouge_l, rouge_n, score, token_f1
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy, Supervision
from shared.domain.rows import Row, dump_rows, load_rows
from shared.domain.tasks import UNREADABLE, Task, TaskKind
from shared.tasks import behaviour
from shared.tasks.generation import ANSWER, LONG, NUMBER, OTHER, PARTLY, SHORT


def task(*labels: str, **form: object) -> Task:
    return Task(TaskKind.GENERATION, labels, AnswerForm(**form))  # pyright: ignore[reportArgumentType]


FREE = task()
SUM = task(extractor=Extractor.NUMBER)
CHOICE = task("A", "B", "C", "D", extractor=Extractor.LETTER)
INTENT = task("GetWeather", "PlayMusic")
WORDS = task(scorer=Scorer.F1)


def test_tasks_stored_before_forms_and_those_with_them_read_alike() -> None:
    read = TypeAdapter(Task)
    for stored in (Task(TaskKind.CLASSIFICATION, ("ham", "spam")), FREE, CHOICE):
        assert read.validate_json(read.dump_json(stored)) == stored
    old = read.validate_python({"kind": "ner", "labels": ["city"]})
    assert old == Task(TaskKind.NER, ("city",))
    assert read.validate_python({"kind": "generation", "labels": []}).form == AnswerForm()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Task(TaskKind.NER, ("city",), AnswerForm()), "only generation has"),
        (lambda: task("1", "2", extractor=Extractor.LETTER), "from A to Z"),
        (lambda: AnswerForm(threshold=0.0), "threshold=0.0"),
        (lambda: AnswerForm(answer_tokens=64, max_tokens=64), "leaves room for its prompt"),
        (lambda: AnswerForm(chat_template="gemini"), "'gemini'"),
        (lambda: task("B", "A"), "sorted"),
        (lambda: AnswerForm(supervision=Supervision.CHAIN_OF_THOUGHT), "behind the mark"),
    ],
)
def test_a_form_that_cannot_be_is_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("text", "extractor", "found"),
    [
        (" Paris \n", Extractor.WHOLE, "Paris"),
        ("", Extractor.WHOLE, None),
        (f"3 + 4 is 7.\n{ANSWER_MARK} seven", Extractor.MARKED, "seven"),
        ("seven", Extractor.MARKED, "seven"),
        ("Paris\nQuestion: next", Extractor.FIRST_LINE, "Paris"),
        ("That makes $1,800.00, so 1,800.", Extractor.NUMBER, "1800"),
        ("it is -0.50", Extractor.NUMBER, "-0.5"),
        ("100", Extractor.NUMBER, "100"),
        ("0.0", Extractor.NUMBER, "0"),
        ("none", Extractor.NUMBER, None),
        (f"A is wrong. {ANSWER_MARK} B", Extractor.LETTER, "B"),
        ("C. Planetary days will become shorter.", Extractor.LETTER, "C"),
        ("The answer is (D) because", Extractor.LETTER, "D"),
        ("A planet spins", Extractor.LETTER, None),
        ("I think it is (B)", Extractor.LETTER, "B"),
        ("Sure:\n```python\nx = 1\n```\nDone", Extractor.CODE, "x = 1"),
        ("    return 1\n", Extractor.CODE, "    return 1"),
    ],
)
def test_the_answer_is_found_in_a_text(text: str, extractor: Extractor, found: str | None) -> None:
    assert extract(text, extractor) == found


@pytest.mark.parametrize(
    ("of", "output", "target", "right"),
    [
        (FREE, " Paris", "Paris", True),
        (FREE, "paris", "Paris", False),
        (task(scorer=Scorer.WORDS), "the paris!", "Paris", True),
        (SUM, "5 and 13 are 18.0", "18", True),
        (SUM, "18 of 20", "18", False),
        (CHOICE, "Answer: B", "B", True),
        (CHOICE, "", "B", False),
        (WORDS, "the tower of Paris", "tower Paris", True),
        (WORDS, "a tower", "Paris by night and day", False),
        (task(scorer=Scorer.ROUGE_2, threshold=0.9), "one two three", "one two four", False),
        (task(scorer=Scorer.ROUGE_2, threshold=0.5), "one two three", "one two four", True),
    ],
)
def test_an_answer_is_right_from_its_threshold_on(
    of: Task, output: str, target: str, right: bool
) -> None:
    assert behaviour(of).is_right(output, target) is right


def test_labels_are_named_whatever_their_case() -> None:
    intents = behaviour(INTENT)
    assert intents.canonical(" getweather ", "rain?") == "GetWeather"
    assert intents.canonical(" something else ", "rain?") == "something else"
    assert intents.objection("playmusic", INTENT) is None
    assert "not one of the 2" in (intents.objection("Sing", INTENT) or "")
    assert intents.sort("playmusic") == "PlayMusic"
    assert intents.confusion("Sing", "PlayMusic") == ("PlayMusic", OTHER)
    assert intents.lesson("GetWeather", "PlayMusic") == ("PlayMusic", "GetWeather")
    assert behaviour(CHOICE).canonical("B. It grows", "…") == "B"
    assert behaviour(CHOICE).confusion("it grows", "B") == ("B", UNREADABLE)


def test_a_target_without_an_answer_is_objected_to() -> None:
    assert "holds no answer" in (behaviour(FREE).objection("  ", FREE) or "")
    assert "holds no answer (number)" in (behaviour(SUM).objection("many", SUM) or "")
    assert behaviour(SUM).objection("12 apples", SUM) is None


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("", UNREADABLE),
        ("it is a very long way to the next town of all", LONG),
        ("it", SHORT),
        ("one two three nine", PARTLY),
        ("five six seven eight", OTHER),
    ],
)
def test_free_answers_fail_by_how_they_differ(output: str, told: str) -> None:
    assert behaviour(FREE).confusion(output, "one two three four") == (ANSWER, told)
    assert behaviour(FREE).misses(ANSWER, told) is None
    assert behaviour(FREE).lesson(output, "one two three four") == (ANSWER, ANSWER)


def test_another_number_is_an_error_of_its_own() -> None:
    assert behaviour(SUM).confusion("19", "18") == (ANSWER, NUMBER)


texts = st.lists(
    st.sampled_from(["The", "cat,", "sat!", "on_the", "mat-mat", "12", "Élan", "a"]), max_size=12
).map(" ".join)


@given(texts, texts)
def test_rouge_is_that_of_rouge_score(output: str, target: str) -> None:
    reference = pytest.importorskip(
        "rouge_score.rouge_scorer", reason="the dev extra is not installed"
    )
    theirs = reference.RougeScorer(["rouge1", "rouge2", "rougeL"]).score(target, output)
    ours = (rouge_n(output, target, 1), rouge_n(output, target, 2), rouge_l(output, target))
    assert ours == pytest.approx([one.fmeasure for one in theirs.values()])


@given(texts, texts, st.sampled_from(list(Scorer)))
def test_scores_lie_between_nothing_and_the_target_itself(
    output: str, target: str, scorer: Scorer
) -> None:
    form = AnswerForm(scorer, Extractor.CODE)
    assert 0 <= score(output, target, form) <= 1
    assert token_f1(output, target) == token_f1(target, output)
    if scorer in (Scorer.EXACT, Scorer.WORDS) and target:
        assert score(target, target, form) == 1


def test_recipes_from_before_prompts_and_supervision_keep_their_digest() -> None:
    h = Hyperparameters("base", 1e-3)
    before = Recipe(h, Strategy())
    assert before.digest == "514ce6c375d60121e5380f74adafd9b05ce587effa1ce142bc20de33e738f4c6"
    asked = Recipe(replace(h, system_prompt="Be brief."), Strategy())
    reasoned = Recipe(h, Strategy(supervision=Supervision.CHAIN_OF_THOUGHT))
    assert len({before.digest, asked.digest, reasoned.digest}) == 3
    assert reasoned.name.endswith(" chain of thought")


def test_rows_without_a_rationale_are_written_as_before() -> None:
    bare, reasoned = Row("1", "2+2", "4"), Row("1", "2+2", "4", "Two and two.")
    assert dump_rows([bare]) == b'{"id": "1", "target": "4", "text": "2+2"}\n'
    assert load_rows(dump_rows([bare, reasoned]), Row) == [bare, reasoned]


def test_a_model_that_writes_starts_with_its_task_s_prompt_and_learns_from_targets_alone() -> None:
    form = AnswerForm(
        extractor=Extractor.NUMBER,
        system_prompt="Count.",
        supervision=Supervision.CHAIN_OF_THOUGHT,
        max_tokens=300,
    )
    grid = RecipeGrid().for_task(Task(TaskKind.GENERATION, (), form))
    for method in Method:
        first = grid.first("base", method)
        assert first.hyperparameters.system_prompt == "Count."
        assert first.hyperparameters.max_tokens == 300
        assert first.strategy == Strategy(method, supervision=Supervision.CHAIN_OF_THOUGHT)
        assert list(grid.with_blends(first)) == [first]
        for recipe in grid.around(first, PROTECTING):
            assert recipe.strategy.congruence == 0
            assert recipe.strategy.supervision is Supervision.CHAIN_OF_THOUGHT
    assert RecipeGrid().for_task(Task(TaskKind.CLASSIFICATION, ("a", "b"))) == RecipeGrid()


def test_only_lora_of_a_model_that_writes_is_trained_on_a_base_in_four_bits() -> None:
    grid = RecipeGrid(four_bit=True)
    writes = grid.for_task(Task(TaskKind.GENERATION, (), AnswerForm()))
    lora, full = (writes.first("base", method) for method in (Method.LORA, Method.FULL))
    assert lora.strategy.four_bit
    assert not full.strategy.four_bit
    assert all(recipe.strategy.four_bit for recipe in writes.around(lora, PROTECTING))
    for task in (Task(TaskKind.CLASSIFICATION, ("a", "b")), Task(TaskKind.NER, ("city",))):
        assert not grid.for_task(task).first("base", Method.LORA).strategy.four_bit


def test_a_model_that_names_entities_is_blended_nearer_to_its_parent_too() -> None:
    grid = RecipeGrid().for_task(Task(TaskKind.NER, ("city",)))
    forms = list(grid.with_blends(grid.first("base", Method.FULL)))
    assert [form.strategy.blended for form in forms] == [0, 0.2, 0.5, 0.8]
    assert max(RecipeGrid().blends) == 0.5
