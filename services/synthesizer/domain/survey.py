"""What is easily reached on E, and what shall be: the target of a cold start (paper §2.5)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.naive_bayes import ComplementNB

from services.synthesizer.domain.boundary import word_weights
from shared.domain.rows import EvalRow, Row
from shared.domain.survey import Measure, Surveyed
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput

# A set of some hundred rows cannot tell more apart, and a few labels of any data set are wrong.
_MOST = 0.99
# What a run shall leave of the baseline's errors (docs/cold-start.md says why).
_LEFT = 0.1


def word_baseline(
    material: Sequence[Row], exam: Sequence[EvalRow], *, label: Callable[[str], str] | None
) -> float:
    """The share of E, 0 to 1, that counting words gets right; ``label`` names that of an answer.

    Where answers are no labels, None, the commonest is given to all.
    """
    if not material or not exam:
        return 0.0
    if label is None:
        common = Counter(row.target for row in material).most_common(1)[0][0]
        return sum(row.target == common for row in exam) / len(exam)
    vectorizer = word_weights()
    vectors: Any = vectorizer.fit_transform([row.text for row in material])
    model = ComplementNB().fit(vectors, [label(row.target) for row in material])
    said: Any = model.predict(vectorizer.transform([row.text for row in exam]))
    return sum(a == label(row.target) for a, row in zip(said, exam, strict=True)) / len(exam)


@dataclass(frozen=True, slots=True)
class Target:
    """The share of E that shall be right, and in words what it comes from."""

    share: float
    origin: str


def target_of(baseline: float, *, asked: float | None, survey: Sequence[Surveyed]) -> Target:
    """As asked; else the best that others reached; else from the data."""
    if asked is not None:
        return Target(asked, "--target")
    if not survey:
        return Target(target_from(baseline), "the data")
    best = max(survey, key=lambda one: one.score)
    said = f"the survey: {best.name}, {best.measure.value} {best.score:g}"
    return Target(min(best.score, _MOST), said)


def check_measures(survey: Sequence[Surveyed], task: Task) -> None:
    """Refuse scores that are no share of whole answers. Raises BadInput naming the first.

    Only of labels are accuracy and F1 one: of entities or tokens they count parts of an answer.
    """
    if task.kind is TaskKind.CLASSIFICATION:
        return
    for one in survey:
        if one.measure is not Measure.EXACT_MATCH:
            raise BadInput(
                f"survey: {one.name!r} has {one.measure.value} {one.score:g}, but the target of "
                f"{task.kind} is a share of answers that are right as a whole: give scores of "
                f"'{Measure.EXACT_MATCH}', or a target with --target"
            )


def target_from(baseline: float) -> float:
    """A tenth of what the baseline gets wrong is left, in thousandths.

    Too high a target costs a run its other iterations, too low a one costs accuracy for good.
    """
    return round(min(1 - _LEFT * (1 - baseline), _MOST), 3)
