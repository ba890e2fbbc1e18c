"""Code with its tests as one target: taught without them, right only where they were run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.diagnoser.domain.judging import from_feedback, judge_by_reference
from services.verifier.domain.evaluation import EvaluationSets, evaluate
from shared.cli.row_files import training_rows
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.rows import EvalPart, EvalRow
from shared.domain.tasks import Task, TaskKind
from shared.domain.tested_answers import TESTS_MARK, checks_of, taught, with_tests
from shared.domain.traces import Verdict
from shared.errors import BadInput
from shared.tasks import behaviour

FORM = AnswerForm(scorer=Scorer.PASSES, extractor=Extractor.CODE)
TASK = Task(TaskKind.GENERATION, (), FORM)
CODE = behaviour(TASK)
ADD, OTHER_ADD = "def add(a, b):\n    return a + b", "def add(a, b):\n    return b + a"
TESTS = "assert add(2, 3) == 5\nassert add(0, 0) == 0"
TARGET = with_tests(ADD, TESTS)

lines = st.text(st.sampled_from("ab #-\n"), max_size=30)


@given(lines, lines)
def test_what_is_put_together_comes_apart(solution: str, tests: str) -> None:
    target = with_tests(solution, tests)
    assert taught(target, FORM) == solution.rstrip()
    assert checks_of(target) == tests.strip()


def test_only_code_that_is_run_has_tests_that_are_not_taught() -> None:
    assert taught(TARGET, AnswerForm(extractor=Extractor.CODE)) == TARGET
    assert taught(ADD, FORM) == ADD
    assert checks_of(ADD) == ""


def test_a_target_needs_a_solution_and_tests() -> None:
    assert CODE.objection(TARGET, TASK) is None
    assert TESTS_MARK in (CODE.objection(ADD, TASK) or "")
    assert "holds no answer" in (CODE.objection(with_tests("", TESTS), TASK) or "")


def test_tests_do_not_count_as_what_must_be_written() -> None:
    few = Task(TaskKind.GENERATION, (), AnswerForm(Scorer.PASSES, Extractor.CODE, answer_tokens=8))
    assert behaviour(few).objection(with_tests(ADD, "assert add(1, 1) == 2\n" * 9), few) is None


def test_the_same_code_is_surely_right_and_other_code_is_not_judged() -> None:
    assert not CODE.compares
    assert CODE.is_right(f"Here:\n```python\n{ADD}\n```", TARGET)
    assert not CODE.is_right(OTHER_ADD, TARGET)
    same = judge_by_reference(ADD, TARGET, is_right=CODE.is_right, compares=CODE.compares)
    assert same is not None
    assert (same.verdict, same.corrected) == (Verdict.PASS, TARGET)
    other = judge_by_reference(OTHER_ADD, TARGET, is_right=CODE.is_right, compares=CODE.compares)
    assert other is None


def test_a_pass_may_bring_the_tests_that_it_passed() -> None:
    passed = from_feedback(
        OTHER_ADD,
        Verdict.PASS,
        TARGET,
        human=True,
        is_right=CODE.is_right,
        compares=CODE.compares,
    )
    assert (passed.verdict, passed.corrected) == (Verdict.PASS, TARGET)


@pytest.mark.parametrize(
    ("labels", "extractor", "said"),
    [
        ((), Extractor.WHOLE, "give extractor=code"),
        (("a", "b"), Extractor.CODE, "leave the labels out"),
    ],
)
def test_a_task_that_cannot_be_run_is_refused(
    labels: tuple[str, ...], extractor: Extractor, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Task(TaskKind.GENERATION, labels, AnswerForm(Scorer.PASSES, extractor))


def test_row_files_bring_tests_in_a_field_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"prompt": "Add.", "answer": "x = 1", "tests": ["assert x == 1", "assert x"]}\n'
        '{"prompt": "Add.", "answer": "x = 1 + 0", "tests": "assert x == 1"}\n'
    )
    first, second = (one.row.target for one in training_rows(file, TASK))
    assert first == with_tests("x = 1", "assert x == 1\nassert x")
    assert second == with_tests("x = 1 + 0", "assert x == 1")
    file.write_text('{"prompt": "Add.", "answer": "x = 1"}')
    with pytest.raises(BadInput, match=r"rows.jsonl:1: .* has no tests"):
        training_rows(file, TASK)
    file.write_text('{"prompt": "Add.", "answer": "x = 1", "tests": [1]}')
    with pytest.raises(BadInput, match="tests is 1, not a text"):
        training_rows(file, TASK)


def test_the_gate_counts_by_grades_and_wants_one_for_each_answer() -> None:
    row = EvalRow("f1", "Add.", TARGET, EvalPart.HELDOUT, right_before=False)
    sets = EvaluationSets(current=[row], earlier={})
    said, before = {"f1": OTHER_ADD}, {"f1": "def add"}
    grades = {("f1", OTHER_ADD, TARGET): True, ("f1", "def add", TARGET): False}
    report = evaluate("c", sets, said, before, is_right=CODE.is_right, grades=grades)
    assert (report.heldout.right_before, report.heldout.right_after) == (0, 1)
    with pytest.raises(BadInput, match="row 'f1' was not graded"):
        evaluate("c", sets, said, before, is_right=CODE.is_right, grades={})
