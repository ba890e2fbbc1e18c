"""Whether rows can be learned from at all: what nobody can learn is refused, naming the rows."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from services.synthesizer.domain.choices import choices
from shared.domain.answer_form import AnswerForm
from shared.domain.near_duplicates import group_near_duplicates, normalise
from shared.domain.row_files import PlacedRow
from shared.domain.tasks import Head, Task, TaskKind
from shared.errors import BadInput
from shared.tasks import behaviour

_NAMED = 3


def task_of(
    rows: Sequence[PlacedRow],
    kind: TaskKind,
    *,
    labels: Sequence[str] = (),
    form: AnswerForm | None = None,
) -> Task:
    """The task whose labels are those given, else those of the rows.

    Written answers are labels where they are few. Raises BadInput where there are too few labels
    for a task, or a ``form`` of answers is given to one that writes none.
    """
    found = sorted(set(labels) or {label for row in rows for label in row.labels})
    if kind is TaskKind.GENERATION:
        return _written(rows, found, form or AnswerForm())
    if form is not None:
        raise BadInput(
            f"a form of answers is given, but the task is {kind.value}: leave the form out, or "
            "give generation for its family"
        )
    try:
        return Task(kind, tuple(found))
    except ValueError:
        said = ", ".join(map(repr, found)) or "nothing"
        raise BadInput(
            f"{len(rows)} rows have {said} for a label, which leaves nothing to decide: add rows "
            "of other labels"
        ) from None


def _written(rows: Sequence[PlacedRow], labels: Sequence[str], form: AnswerForm) -> Task:
    named = tuple(labels) or choices([row.target for row in rows], form)
    try:
        return Task(TaskKind.GENERATION, named, form)
    except ValueError as error:
        raise BadInput(f"the answers do not fit their form: {error}") from None


def check_rows(rows: Sequence[PlacedRow], test: Sequence[PlacedRow], task: Task) -> None:
    """Raise BadInput naming the first rows that contradict, leak, or have an answer alone."""
    known = _answers(rows, task)
    asked = _answers(test, task)
    for text in known.keys() & asked.keys():
        raise BadInput(
            f"{asked[text].place} says what {known[text].place} says, {asked[text].text[:60]!r}: "
            "a test part must not leak into what is learned, take it out of one of them"
        )
    _check_answers([*rows, *test], task)
    _check_support(rows, test, task)


def same_text(task: Task) -> Callable[[str], str]:
    """What two texts have in common that ask the same of a task."""
    # A sign may be what an answer follows from: 2 + 3 is not 2 - 3.
    return str.strip if behaviour(task).head is Head.NEXT else normalise


def _answers(rows: Sequence[PlacedRow], task: Task) -> dict[str, PlacedRow]:
    """The first row of each text. Raises BadInput where another has another answer."""
    same, right = same_text(task), behaviour(task).is_right
    first: dict[str, PlacedRow] = {}
    for row in rows:
        known = first.setdefault(same(row.text), row)
        # Where comparing answers does not tell, two of them may both be right.
        if not behaviour(task).compares:
            continue
        if not (right(row.target, known.target) or right(known.target, row.target)):
            raise BadInput(
                f"{known.place} and {row.place} say the same, {row.text[:60]!r}, but one answers "
                f"{known.target[:60]!r} and the other {row.target[:60]!r}: keep the right one"
            )
    return first


def _check_answers(rows: Sequence[PlacedRow], task: Task) -> None:
    objection = behaviour(task).objection
    for row in rows:
        if why := objection(row.target, task, row.text):
            raise BadInput(f"{row.place}: {why}")


def _check_support(rows: Sequence[PlacedRow], test: Sequence[PlacedRow], task: Task) -> None:
    """Each answer needs a row to learn and another to be measured on."""
    sort = behaviour(task).sort
    least = 1 if test else 2
    groups: dict[str, set[int]] = defaultdict(set)
    places: dict[str, list[str]] = defaultdict(list)
    for row, group in zip(rows, group_near_duplicates([r.text for r in rows]), strict=True):
        groups[sort(row.target)].add(group)
        places[sort(row.target)].append(row.place)
    for name in sorted(groups):
        if len(groups[name]) < least:
            alone = len(places[name]) == 1
            few = "one example" if alone else f"{len(places[name])} examples that say the same"
            what = f"label {name!r}" if task.labels else "the task"
            raise BadInput(
                f"{what} has {few} ({', '.join(places[name][:_NAMED])}): "
                f"give it {least} that differ{', or take it out' if task.labels else ''}"
            )
    known = groups.keys() | {label for row in rows for label in row.labels}
    if missing := [label for label in task.labels if label not in known]:
        raise BadInput(
            f"label {missing[0]!r} has no example: give it {least} that differ, or take it out"
        )
    for row in test:
        if sort(row.target) not in groups:
            raise BadInput(
                f"{row.place} asks for label {sort(row.target)!r}, of which there is nothing to "
                "learn: add rows of it, or take this one out"
            )
