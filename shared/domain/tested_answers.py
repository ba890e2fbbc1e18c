"""Right answers that are code: a solution, and below a mark the tests that any solution passes.

The solution is taught and the tests decide, so both travel as one target.
"""

from shared.domain.answer_form import AnswerForm, Scorer

# A line of its own between a solution and its tests.
TESTS_MARK = "# --- tests ---"


def with_tests(solution: str, tests: str) -> str:
    """The target of a solution and its tests."""
    return f"{solution.rstrip()}\n{TESTS_MARK}\n{tests.strip()}"


def checks_of(target: str) -> str:
    """The tests of a target, stripped; empty where it has none."""
    return _parted(target)[1].strip()


def taught(target: str, form: AnswerForm) -> str:
    """What a model is taught to write: all of a target but its tests."""
    return _parted(target)[0] if form.scorer is Scorer.PASSES else target


def _parted(target: str) -> tuple[str, str]:
    lines = target.splitlines(keepends=True)
    at = next((at for at, line in enumerate(lines) if line.strip() == TESTS_MARK), len(lines))
    return "".join(lines[:at]).rstrip(), "".join(lines[at + 1 :])
