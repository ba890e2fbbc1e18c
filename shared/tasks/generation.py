"""Generation: the answer is a text that a causal language model writes, scored as its task says.

Where the task has labels they are the only answers there are (a letter, the name of an intent).
"""

from collections.abc import Iterable, Mapping

from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.answer_scores import extract, plain_words, score, token_f1
from shared.domain.entity_errors import Hits
from shared.domain.tasks import UNREADABLE, Head, Task
from shared.domain.tested_answers import TESTS_MARK, checks_of, taught

ANSWER = "an answer"
OTHER = "other words"
NUMBER = "another number"
PARTLY = "partly right"
SHORT, LONG = "too short", "too long"

# An answer has gone wrong by its length when it has so many times the words, or the part.
_TIMES = 2.0


class Generation:
    """Right from the task's threshold on; failures are named by label, or by how they differ."""

    head = Head.NEXT
    answers_are_labels = False

    def __init__(self, task: Task) -> None:
        self._form = task.form or AnswerForm()
        self.compares = self._form.scorer.compares
        self._labels: Mapping[str, str] = {_plain(label): label for label in task.labels}

    def is_right(self, output: str, target: str) -> bool:
        return score(output, target, self._form) >= self._form.threshold

    def objection(self, target: str, task: Task, text: str | None = None) -> str | None:
        said = taught(target, self._form)
        found = extract(said, self._form.extractor)
        if found is None:
            return f"{target[:80]!r} holds no answer ({self._form.extractor})"
        if self._form.scorer is Scorer.PASSES and not checks_of(target):
            return f"{target[:80]!r} has no tests: give them below a line {TESTS_MARK!r}"
        if self._labels and self._label(target) is None:
            return f"{found[:80]!r} is not one of the {len(self._labels)} answers"
        # No tokenizer is known here, but a word is a token or more.
        if (words := len(said.split())) > self._form.answer_tokens:
            return (
                f"{said[:40]!r}… has {words} words, more than a model may write "
                f"(answer_tokens={self._form.answer_tokens})"
            )
        return None

    def canonical(self, answer: str, text: str) -> str:
        """The label that is meant, where there are labels; a free answer is only stripped."""
        return self._label(answer) or answer.strip()

    def confusion(self, output: str, target: str) -> tuple[str, str]:
        found = extract(output, self._form.extractor)
        if found is None:
            return self.sort(target), UNREADABLE
        if self._labels:
            return self.sort(target), self._label(output) or OTHER
        told = taught(target, self._form)
        right = extract(told, self._form.extractor) or told
        return ANSWER, NUMBER if self._form.extractor is Extractor.NUMBER else _told(found, right)

    def misses(self, expected: str, predicted: str | None) -> bool | None:
        return None

    def sort(self, target: str) -> str:
        """The label. Free answers are all of one sort: their shapes are nothing to balance by."""
        return (self._label(target) or OTHER) if self._labels else ANSWER

    def lesson(self, output: str, target: str) -> tuple[str, str]:
        """Rows of the right label, beside those of the label it was taken for."""
        return self.sort(target), self.sort(output)

    def by_type(self, answers: Iterable[tuple[str, str]]) -> Mapping[str, Hits]:
        return {}

    def _label(self, text: str) -> str | None:
        found = extract(text, self._form.extractor)
        return None if found is None else self._labels.get(_plain(found))


def _plain(answer: str) -> str:
    """Case and blanks make no other answer of a label."""
    return " ".join(answer.split()).casefold()


def _told(found: str, right: str) -> str:
    """How a free answer differs from the right one."""
    words, wanted = len(plain_words(found)), len(plain_words(right))
    if words > _TIMES * wanted:
        return LONG
    if _TIMES * words < wanted:
        return SHORT
    return PARTLY if token_f1(found, right) >= 0.5 else OTHER
