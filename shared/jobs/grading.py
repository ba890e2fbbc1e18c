"""Grades written code by running it against the tests of its target: pass@1 (paper App. D)."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from shared.domain.answer_form import AnswerForm
from shared.domain.answer_scores import extract
from shared.domain.tested_answers import TESTS_MARK, checks_of
from shared.errors import BadInput
from shared.jobs.sandbox import WALLS, Outcome, Walls, run_python

# Each may take the memory that its walls allow.
_AT_ONCE = 8


def passes(output: str, target: str, form: AnswerForm, walls: Walls = WALLS) -> bool:
    """Whether the code in an output passes the tests of a target, run in the sandbox.

    Raises BadInput for a target without tests, BadSettings where there is no sandbox.
    """
    tests = checks_of(target)
    if not tests:
        raise BadInput(
            f"target {target[:80]!r} has no tests below a line {TESTS_MARK!r}: "
            f"{form.scorer} grades by nothing else, add them"
        )
    code = extract(output, form.extractor)
    return code is not None and run_python(_tested(code, tests), walls).outcome is Outcome.PASSED


def passes_each(
    answers: Sequence[tuple[str, str]], form: AnswerForm, walls: Walls = WALLS
) -> list[bool]:
    """``passes`` of every (output, target), in order; equal ones run once, several at a time."""
    distinct = list(dict.fromkeys(answers))
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _AT_ONCE)) as threads:
        outputs, targets = [one[0] for one in distinct], [one[1] for one in distinct]
        found = threads.map(partial(passes, form=form, walls=walls), outputs, targets)
        passed = dict(zip(distinct, found, strict=True))
    return [passed[one] for one in answers]


def _tested(code: str, tests: str) -> str:
    # Compiled by itself: an answer that ends inside a string must not swallow its tests. It is
    # imported, not run: what stands below __name__ == "__main__" would ask for input.
    answer = f"exec(compile({code!r}, 'answer', 'exec'), globals())"
    return f"__name__ = 'answer'\n{answer}\n__name__ = '__main__'\n\n{tests}"
