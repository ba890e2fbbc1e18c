"""Named-entity recognition: the answer names the entities of a text, as ``entities`` writes them.

The task's labels are the entity types. Models tag words (BIO).
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from shared.domain.entities import Entity, canonical_answer, objection_to, read_answer
from shared.domain.entity_errors import (
    EntityError,
    EntityScores,
    Fault,
    Hits,
    entity_errors,
    entity_scores,
)
from shared.domain.tasks import UNREADABLE, Head, Task
from shared.errors import BadInput

NOTHING = "no entity"
EMPTY = "in a text without entities"

# Which of a row's errors names its pattern, where several are as many.
_ORDER = (
    Fault.HALLUCINATED,
    Fault.MISSED,
    Fault.WRONG_TYPE,
    Fault.WRONG_BOUNDARY,
    Fault.SPURIOUS,
)


class Ner:
    """The same set of spans and types; failures are named by their commonest error."""

    head = Head.WORDS
    answers_are_labels = False
    compares = True

    def is_right(self, output: str, target: str) -> bool:
        try:
            return read_answer(output) == read_answer(target)
        except BadInput:
            return False

    def objection(self, target: str, task: Task, text: str | None = None) -> str | None:
        return objection_to(target, task.labels, text)

    def canonical(self, answer: str, text: str) -> str:
        return canonical_answer(answer.strip(), text)

    def confusion(self, output: str, target: str) -> tuple[str, str]:
        error = _commonest(output, target)
        if error is None:
            return self.sort(target), UNREADABLE
        match error.fault:
            case Fault.HALLUCINATED:
                return NOTHING, f"{error.given}, {EMPTY}"
            case Fault.SPURIOUS:
                return NOTHING, str(error.given)
            case Fault.MISSED:
                return str(error.expected), NOTHING
            case Fault.WRONG_BOUNDARY:
                return str(error.expected), f"{error.given}, another boundary"
            case Fault.WRONG_TYPE:
                return str(error.expected), str(error.given)

    def misses(self, expected: str, predicted: str | None) -> bool | None:
        if expected == NOTHING:
            return False
        return None if predicted is None else predicted == NOTHING

    def sort(self, target: str) -> str:
        """The type of its first entity: a text of several types is of one sort."""
        entities = read_answer(target)
        return entities[0].type if entities else NOTHING

    def lesson(self, output: str, target: str) -> tuple[str, str]:
        """Texts of the type that was missed or wrongly seen, beside texts without entities.

        Where one type was taken for another, texts of that other are the contrast.
        """
        error = _commonest(output, target)
        if error is None:
            return self.sort(target), NOTHING
        other = error.given if error.fault is Fault.WRONG_TYPE else None
        return error.expected or str(error.given), other or NOTHING

    def by_type(self, answers: Iterable[tuple[str, str]]) -> Mapping[str, Hits]:
        return scores(answers).of_type


def scores(answers: Iterable[tuple[str, str]]) -> EntityScores:
    """Entity scores of (output, target) pairs; an output that cannot be read names nothing."""
    return entity_scores((_readable(output), read_answer(target)) for output, target in answers)


def _readable(output: str) -> tuple[Entity, ...]:
    try:
        return read_answer(output)
    except BadInput:
        return ()


def _commonest(output: str, target: str) -> EntityError | None:
    """The error a row has most often; None when there is none, or the answer cannot be read."""
    try:
        errors = entity_errors(read_answer(output), read_answer(target))
    except BadInput:
        return None
    counts = Counter(errors)
    return min(
        counts,
        key=lambda e: (-counts[e], _ORDER.index(e.fault), e.expected or "", e.given or ""),
        default=None,
    )
