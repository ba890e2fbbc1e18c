"""A task's own measure of answers, and what answering without reading would reach."""

from collections import Counter
from collections.abc import Iterable
from math import sqrt

from bench.adaptft.logs import ScenarioData
from shared.domain.answer_form import AnswerForm, Scorer
from shared.domain.answer_scores import score as nearness
from shared.domain.tasks import Task, TaskKind
from shared.tasks import behaviour
from shared.tasks.ner import scores

ACCURACY = "accuracy"
_NAMES = {
    Scorer.F1: "token F1",
    Scorer.ROUGE_1: "ROUGE-1",
    Scorer.ROUGE_2: "ROUGE-2",
    Scorer.ROUGE_L: "ROUGE-L",
}
# So many standard errors above chance is no chance any more.
_SURE = 2.0


def measure_of(task: Task) -> str:
    """The measure's name."""
    if task.kind is TaskKind.NER:
        return "entity F1"
    return _NAMES.get(task.form.scorer, ACCURACY) if task.form else ACCURACY


def measured(task: Task, pairs: Iterable[tuple[str, str]]) -> float:
    """The measure of (output, target) pairs, 0 to 1; 0 of none."""
    if task.kind is TaskKind.NER:
        return scores(pairs).overall.f1
    if measure_of(task) == ACCURACY:
        right = behaviour(task).is_right
        return _mean([float(right(output, target)) for output, target in pairs])
    form = task.form or AnswerForm()
    return _mean([nearness(output, target, form) for output, target in pairs])


def chance(data: ScenarioData) -> float:
    """The measure of the commonest answer, given to every text of the test."""
    counts = Counter(row.truth for row in data.test)
    answer = min(counts, key=lambda target: (-counts[target], target))
    return measured(data.task, [(answer, row.truth) for row in data.test])


def at_chance(data: ScenarioData, score: float) -> bool:
    """Whether a score is not surely better, within twice the error that so few rows allow."""
    level = chance(data)
    error = sqrt(level * (1 - level) / max(1, len(data.test)))
    return score <= level + _SURE * error


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
