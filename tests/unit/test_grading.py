"""Written code is graded by running it, in the job that predicts."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.verifier.predictions import read_grades
from shared.adapters.artifacts import FsspecArtifacts
from shared.cli.row_files import read_row_file
from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.artifacts import ArtifactRef
from shared.domain.rows import EvalPart, EvalRow, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.tested_answers import taught, with_tests
from shared.errors import BadInput, BadSettings
from shared.job_specs import EvaluateSpec, ModelSpec
from shared.jobs import grading
from shared.jobs.grading import passes, passes_each
from shared.jobs.sandbox import Ran, run_python

if not sys.platform.startswith("linux"):
    pytest.skip("the sandbox is Linux's", allow_module_level=True)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FORM = AnswerForm(scorer=Scorer.PASSES, extractor=Extractor.CODE, answer_tokens=500)
TASK = Task(TaskKind.GENERATION, (), FORM)
ADD = "def add(a, b):\n    return a + b"
TARGET = with_tests(ADD, "assert add(2, 3) == 5")


@pytest.fixture
def walls() -> None:
    try:
        run_python("pass")
    except BadSettings as error:
        pytest.skip(f"no namespaces on this machine: {error}")


@pytest.mark.usefixtures("walls")
@pytest.mark.parametrize(
    ("output", "right"),
    [
        (f"So:\n```python\n{ADD}\n```", True),
        (f"```python3\n{ADD}\n```", True),
        (f"``` py \n{ADD}\n```\nUse it so:\n```python\nprint(add(1, 2))\n```", True),
        (f"```sh\npip install nothing\n```\n```python\n{ADD}\n```", True),
        (f"{ADD}\nif __name__ == '__main__':\n    print(add(int(input()), 1))", True),
        ("add = lambda *those: sum(those)", True),
        ("def add(a, b):\n    return a - b", False),
        ("", False),
        # Nothing an answer leaves open reaches its tests.
        (f"{ADD}\n'''", False),
        ("import sys; sys.exit(0)", False),
        (f"{ADD}\nif True:", False),
        ("raise SystemExit", False),
    ],
)
def test_an_answer_is_right_when_it_passes_the_tests(output: str, *, right: bool) -> None:
    assert passes(output, TARGET, FORM) is right


def test_a_target_without_tests_is_not_graded_by_anything_else() -> None:
    with pytest.raises(BadInput, match="has no tests"):
        passes(ADD, ADD, FORM)


def test_equal_answers_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[str] = []

    def run(program: str, _: object) -> Ran:
        programs.append(program)
        return Ran(grading.Outcome.PASSED)

    monkeypatch.setattr(grading, "run_python", run)
    assert passes_each([(ADD, TARGET), ("", TARGET), (ADD, TARGET)], FORM) == [True, False, True]
    assert len(programs) == 1


@pytest.mark.usefixtures("walls")
def test_reference_solutions_pass_their_tests_and_broken_ones_fail() -> None:
    file = DATA / "mbpp" / "validation.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not here: public data sets lie beside the project")
    targets = [one.row.target for one in read_row_file(file, TASK)[:12]]
    solutions = [taught(target, FORM) for target in targets]
    assert all(passes_each(list(zip(solutions, targets, strict=True)), FORM))
    broken = [one.replace("return", "return None #") for one in solutions]
    assert not any(passes_each(list(zip(broken, targets, strict=True)), FORM))


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("torch", reason="the compute extra is not installed")
    from shared.jobs import evaluate

    class Adapter:
        task = TASK

    class Fixed:
        adapter = Adapter()

        @classmethod
        def load(cls, *_: object) -> "Fixed":
            return cls()

        def predict(self, texts: list[str]) -> list[evaluate.Prediction]:
            return [evaluate.Prediction(text, 1.0) for text in texts]

    monkeypatch.setattr(evaluate, "Predictor", Fixed)
    store = FsspecArtifacts(tmp_path.as_uri())

    def run(rows: list[EvalRow]) -> bytes:
        model = ModelSpec(id="m", adapter=ArtifactRef("file:///adapter", "0" * 64))
        sets = (store.put(dump_rows(rows), name="rows.jsonl"),)
        return store.get(
            evaluate.run_evaluate(EvaluateSpec(models=(model,), sets=sets), store).predictions
        )

    return run


# Row and answer are the same: the model repeats what it is asked.
ROWS = [
    EvalRow("good", ADD, TARGET, EvalPart.HELDOUT, right_before=False),
    EvalRow("bad", "add = None", TARGET, EvalPart.HELDOUT, right_before=False),
]


@pytest.mark.usefixtures("walls")
def test_predictions_carry_their_grades_to_the_gate(evaluated: Any) -> None:
    assert read_grades(evaluated(ROWS)) == {
        ("good", ADD, TARGET): True,
        ("bad", "add = None", TARGET): False,
    }


def test_where_there_is_no_sandbox_the_job_ends_with_its_words(
    evaluated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> Ran:
        raise BadSettings("this machine builds no sandbox")

    monkeypatch.setattr(grading, "run_python", none)
    with pytest.raises(BadSettings, match="builds no sandbox"):
        evaluated(ROWS)


def test_what_is_compared_is_not_run(evaluated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.jobs import evaluate

    plain = Task(TaskKind.GENERATION, (), AnswerForm(extractor=Extractor.CODE))
    monkeypatch.setattr(evaluate.Predictor, "adapter", SimpleNamespace(task=plain))
    lines = evaluated(ROWS).splitlines()
    assert all("graded" not in json.loads(line) for line in lines)
