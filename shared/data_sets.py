"""What data sets from outside must be before anything is learned from them or measured by them.

Whoever takes rows from outside asks here, so that the same rows get the same sentence everywhere:
it names the row by its place, says what is wrong, and what to do.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from shared.domain.near_duplicates import NearDuplicateIndex
from shared.domain.rows import Row
from shared.domain.tasks import Head, Task
from shared.errors import BadInput
from shared.tasks import behaviour

LONGEST_TEXT = 1_000_000
LONGEST_LABEL = 200
# Every message of a model carries its labels, and brokers take a megabyte.
MOST_LABEL_CHARS = 200_000

_QUOTED = 60


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row and where it stands, such as ``train.jsonl:7``."""

    place: str
    row: Row


def placed(rows: Iterable[Row], source: str) -> list[PlacedRow]:
    """Rows without a file of their own: they stand in the lines of ``source``."""
    return [PlacedRow(f"{source} line {n}", row) for n, row in zip(count(1), rows, strict=False)]


def check_labels(task: Task) -> None:
    """Raises BadInput naming a label that no answer could be, or that there is too much of them."""
    for label in task.labels:
        if not label.strip() or label != label.strip():
            raise BadInput(f"label {label!r} is blank or begins or ends with a space: rename it")
        if len(label) > LONGEST_LABEL:
            raise BadInput(
                f"label {_quote(label)} has {len(label)} characters, more than {LONGEST_LABEL}: "
                "labels are names, give a shorter one"
            )
    if (chars := sum(map(len, task.labels))) > MOST_LABEL_CHARS:
        raise BadInput(
            f"{len(task.labels)} labels have {chars} characters together, more than "
            f"{MOST_LABEL_CHARS}: every message carries them, give them short names"
        )


def check_rows(rows: Sequence[PlacedRow], task: Task, source: str) -> None:
    """Rows that answer as the task asks. Raises BadInput naming the first that does not."""
    if not rows:
        raise BadInput(f"{source}: holds no rows: give at least one, or leave it out")
    objection, asked = behaviour(task).objection, behaviour(task).head is Head.NEXT
    for one in rows:
        if asked and not one.row.text.strip():
            raise BadInput(f"{one.place}: the prompt is empty: write it, or leave this row out")
        if len(one.row.text) > LONGEST_TEXT:
            raise BadInput(
                f"{one.place}: the text has {len(one.row.text)} characters, more than "
                f"{LONGEST_TEXT}: a row is one request, split it"
            )
        if said := objection(one.row.target, task, one.row.text):
            raise BadInput(
                f"{one.place}: {said}: correct it, or register a model that knows this answer"
            )


def check_training(rows: Sequence[PlacedRow], task: Task, source: str) -> None:
    """Rows that a model can learn from. Raises BadInput naming the rows that prevent it.

    Beyond ``check_rows``: no text has two answers, no label a single example.
    """
    check_rows(rows, task, source)
    _refuse_contradictions(rows, task)
    if behaviour(task).answers_are_labels:
        _refuse_lone_labels(rows)


def check_evaluation(rows: Sequence[PlacedRow], task: Task, source: str) -> None:
    """Rows that all can be right at once. Raises BadInput naming the rows that prevent it."""
    check_rows(rows, task, source)
    _refuse_contradictions(rows, task)


def leaked(training: Sequence[PlacedRow], evaluation: Sequence[PlacedRow]) -> list[PlacedRow]:
    """Rows of an evaluation set that say nearly the same as a training row."""
    known = NearDuplicateIndex(one.row.text for one in training)
    found = known.match_each([one.row.text for one in evaluation])
    return [one for one, known_already in zip(evaluation, found, strict=True) if known_already]


def refuse_leaks(
    training: Sequence[PlacedRow], evaluation: Sequence[PlacedRow], *, remedy: str
) -> None:
    """Raises BadInput naming a row of the evaluation set that is trained on, and its like."""
    leaks = leaked(training, evaluation)
    if not leaks:
        return
    first = leaks[0]
    same = NearDuplicateIndex([first.row.text]).match_each([one.row.text for one in training])
    like = training[same.index(True)]
    raise BadInput(
        f"{first.place}: {_quote(first.row.text)} says nearly the same as {like.place}"
        f"{_more(len(leaks) - 1, f'rows of {len(evaluation)}')}: what was trained on measures "
        f"nothing, {remedy}"
    )


def _refuse_contradictions(rows: Sequence[PlacedRow], task: Task) -> None:
    """Answers contradict each other when neither counts as right where the other is asked for."""
    if not behaviour(task).compares:
        # Several may well be right.
        return
    right = behaviour(task).is_right
    # Texts are compared as they are: case and signs may be what tells two labels apart.
    same: dict[str, list[PlacedRow]] = defaultdict(list)
    for one in rows:
        same[one.row.text.strip()].append(one)
    several = [
        (group[0], other)
        for group in same.values()
        if (other := next((o for o in group if not right(o.row.target, group[0].row.target)), None))
    ]
    if not several:
        return
    first, other = several[0]
    raise BadInput(
        f"{first.place} and {other.place}: the same text {_quote(first.row.text)} is answered "
        f"{_quote(first.row.target)} and {_quote(other.row.target)}"
        f"{_more(len(several) - 1, 'texts')}: keep the right answer of each"
    )


def _refuse_lone_labels(rows: Sequence[PlacedRow]) -> None:
    size = Counter(one.row.target for one in rows)
    alone = [one for one in rows if size[one.row.target] == 1]
    if alone:
        first = alone[0]
        raise BadInput(
            f"{first.place}: is the only example of label {_quote(first.row.target)}"
            f"{_more(len(alone) - 1, 'labels')}: give at least two, or leave this row out"
        )


def _more(number: int, of: str) -> str:
    return f" ({number} more such {of})" if number else ""


def _quote(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")
