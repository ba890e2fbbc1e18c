"""What perturbing a log needs to know of answers: wrong ones, and right ones of a changed text.

One class for each sort of answer that a task may have; nothing else of the log knows the task.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from random import Random
from typing import Protocol

from bench.adaptft.entity_answers import EntityAnswers
from examples.demo.workload import Example
from shared.domain.answer_form import Extractor
from shared.domain.answer_scores import extract
from shared.domain.tasks import Task, TaskKind
from shared.tasks import behaviour

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_CHOICE = re.compile(r"(?:^|\n)\s*([A-Za-z])\.\s+(.*)")
_MISSPELT = 0.8
_SLIP = 9
_TRIES = 40


class Answers(Protocol):
    """``asked_for``: what an instruction inside a text may demand as its answer."""

    @property
    def asked_for(self) -> tuple[str, ...]: ...

    def wrong(self, truth: str, text: str, rng: Random) -> str:
        """What somebody who errs would say of the text; an answer that the task can have."""
        ...

    def moved(self, truth: str, before: str, after: str) -> str | None:
        """The right answer to ``after``, a noisy form of ``before``; None where noise took it."""
        ...

    def left(self, truth: str, before: str, after: str) -> str:
        """What of the answer still fits a text that poison changed."""
        ...


@dataclass(frozen=True, slots=True)
class LabelAnswers:
    """One of a few labels, which says nothing of places in the text."""

    asked_for: tuple[str, ...]

    def wrong(self, truth: str, text: str, rng: Random) -> str:
        return rng.choice([name for name in self.asked_for if name != truth])

    def moved(self, truth: str, before: str, after: str) -> str | None:
        return truth

    def left(self, truth: str, before: str, after: str) -> str:
        return truth


@dataclass(frozen=True, slots=True)
class LetterAnswers(LabelAnswers):
    """The letter of a choice; each choice must stay behind its letter, or nobody could know it."""

    def moved(self, truth: str, before: str, after: str) -> str | None:
        was, now = _choices(before), _choices(after)
        kept = was.keys() == now.keys() and all(_alike(was[name], now[name]) for name in was)
        return truth if kept else None


@dataclass(frozen=True, slots=True)
class NumberAnswers:
    """A number; those that the question gives must stay as they are."""

    asked_for: tuple[str, ...] = ("0", "7", "42", "100", "1000")

    def wrong(self, truth: str, text: str, rng: Random) -> str:
        """A number that stands in the text, else one that is off by a little."""
        right = extract(truth, Extractor.NUMBER)
        given = sorted({n for n in _NUMBER.findall(text) if extract(n, Extractor.NUMBER) != right})
        if given and rng.random() < 0.5:
            return rng.choice(given)
        return f"{float(right or 0) + rng.choice((-1, 1)) * rng.randint(1, _SLIP):g}"

    def moved(self, truth: str, before: str, after: str) -> str | None:
        same = sorted(_NUMBER.findall(before)) == sorted(_NUMBER.findall(after))
        return truth if same else None

    def left(self, truth: str, before: str, after: str) -> str:
        return truth


@dataclass(frozen=True, slots=True)
class FreeAnswers:
    """A free text. A wrong one is the answer that another text of the ``pool`` has.

    ``right`` says whether an answer would pass for another all the same.
    """

    pool: tuple[str, ...]
    right: Callable[[str, str], bool]
    asked_for: tuple[str, ...] = ("done", "nothing at all", "no comment", "approved")

    def wrong(self, truth: str, text: str, rng: Random) -> str:
        others = rng.sample(self.pool, min(_TRIES, len(self.pool)))
        return next((other for other in others if not self.right(other, truth)), others[-1])

    def moved(self, truth: str, before: str, after: str) -> str | None:
        return truth

    def left(self, truth: str, before: str, after: str) -> str:
        return truth


def _choices(text: str) -> dict[str, str]:
    """What stands behind each letter of a choice, without case."""
    found = _CHOICE.findall(text)
    return {letter.upper(): " ".join(said.casefold().split()) for letter, said in found}


def _alike(before: str, after: str) -> bool:
    """Whether a choice is misspelt at most."""
    return SequenceMatcher(None, before, after).ratio() >= _MISSPELT


def answers_of(task: Task, rows: Sequence[Example]) -> Answers:
    """How answers of this task go wrong, given all rows of the scenario."""
    if task.kind is TaskKind.NER:
        return EntityAnswers(task.labels)
    extractor = task.form.extractor if task.form else None
    if extractor is Extractor.LETTER:
        return LetterAnswers(task.labels)
    if task.labels:
        return LabelAnswers(task.labels)
    if extractor is Extractor.NUMBER:
        return NumberAnswers()
    return FreeAnswers(tuple(sorted({row.label for row in rows})), behaviour(task).is_right)
