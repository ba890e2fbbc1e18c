"""What a training teaches: token ids, and the loss of a model's answers on them.

One lesson for each head: labels of whole texts, tags of words, or written answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from shared.domain.bio import bio_tags, tags_of
from shared.domain.entities import read_answer
from shared.domain.pipeline import Recipe
from shared.domain.tasks import Head, Task
from shared.errors import BadInput
from shared.jobs.batches import within_memory
from shared.jobs.classifiers import Tokenizer, cut_texts, encode, padded
from shared.jobs.congruence import loss_sum
from shared.jobs.heads import has_pooler, start_at_class_means, start_at_discriminant
from shared.jobs.rows import Row, told_of_cut
from shared.jobs.words import Window, windows, words_of
from shared.jobs.writing import answer_lesson
from shared.tasks import behaviour

# The parent's probabilities: [rows, labels] for texts, [words, tags] of each row for words.
Soft = torch.Tensor | Sequence[torch.Tensor]


class Lesson(Protocol):
    """Items are what goes through the model at once: a row, or a part of a long one."""

    @property
    def ids(self) -> Sequence[list[int]]:
        """Token ids of each item."""
        ...

    @property
    def warning(self) -> str:
        """What of the rows is not learned, in a sentence; empty when all is."""
        ...

    def passes(self, batch: Sequence[int], *, tokens: int, on: torch.device) -> Iterator[list[int]]:
        """A batch in passes of at most so many tokens, padded; a longer item stands alone."""
        ...

    def inputs(self, part: Sequence[int], *, on: torch.device) -> dict[str, Any]:
        """What the model is called with for these items."""
        ...

    def loss(self, logits: torch.Tensor, part: list[int]) -> torch.Tensor:
        """The loss of these items, summed; an item counts about one."""
        ...

    def start(self, model: Any) -> None:
        """Give a new head a better start than chance, where that is known."""
        ...


def prepare(
    rows: Sequence[Row],
    task: Task,
    recipe: Recipe,
    tokenizer: Tokenizer,
    *,
    soft: Soft | None,
    on: torch.device,
) -> Lesson:
    """The lesson of these rows. Raises BadInput naming a target that the task does not have."""
    head = behaviour(task).head
    if head is Head.NEXT:
        return answer_lesson(rows, task, recipe, tokenizer)
    if head is Head.WORDS:
        return _of_words(rows, task, recipe, tokenizer, soft=soft, on=on)
    return _of_texts(rows, task, recipe, tokenizer, soft=soft, on=on)


@dataclass(frozen=True, slots=True)
class TextLesson:
    """Targets [rows] and soft targets [rows, labels] of whole texts."""

    ids: Sequence[list[int]]
    targets: torch.Tensor
    soft: torch.Tensor | None
    weight: float
    pad: int
    warning: str

    def passes(self, batch: Sequence[int], *, tokens: int, on: torch.device) -> Iterator[list[int]]:
        return within_memory(batch, self.ids, tokens=tokens)

    def inputs(self, part: Sequence[int], *, on: torch.device) -> dict[str, Any]:
        return dict(padded([self.ids[i] for i in part], pad=self.pad, on=on))

    def loss(self, logits: torch.Tensor, part: list[int]) -> torch.Tensor:
        soft = None if self.soft is None else self.soft[part]
        return loss_sum(logits, self.targets[part], soft, weight=self.weight)

    def start(self, model: Any) -> None:
        if has_pooler(model):
            start_at_class_means(model, self.ids, self.targets.tolist(), pad=self.pad)


@dataclass(frozen=True, slots=True)
class WordLesson:
    """Targets [words] and soft targets [words, tags] of the words of each window.

    ``usual`` words are in a window: every word counts the same, whatever window it is in.
    """

    parts: Sequence[Window]
    usual: float
    targets: Sequence[torch.Tensor]
    soft: Sequence[torch.Tensor] | None
    weight: float
    pad: int

    @property
    def ids(self) -> Sequence[list[int]]:
        return [part.ids for part in self.parts]

    @property
    def warning(self) -> str:
        # A long text is read in several windows: nothing of it is cut.
        return ""

    def passes(self, batch: Sequence[int], *, tokens: int, on: torch.device) -> Iterator[list[int]]:
        return within_memory(batch, self.ids, tokens=tokens)

    def inputs(self, part: Sequence[int], *, on: torch.device) -> dict[str, Any]:
        return dict(padded([self.ids[i] for i in part], pad=self.pad, on=on))

    def loss(self, logits: torch.Tensor, part: list[int]) -> torch.Tensor:
        read = torch.cat([logits[at, self.parts[i].heads] for at, i in enumerate(part)])
        soft = None if self.soft is None else torch.cat([self.soft[i] for i in part])
        total = loss_sum(read, torch.cat([self.targets[i] for i in part]), soft, weight=self.weight)
        return total / self.usual

    def start(self, model: Any) -> None:
        start_at_discriminant(model, self.parts, self.targets, pad=self.pad)


def _of_texts(
    rows: Sequence[Row],
    task: Task,
    recipe: Recipe,
    tokenizer: Tokenizer,
    *,
    soft: Soft | None,
    on: torch.device,
) -> TextLesson:
    index = {label: number for number, label in enumerate(task.labels)}
    for row in rows:
        _check(row, task)
    max_tokens, texts = recipe.hyperparameters.max_tokens, [row.text for row in rows]
    ids = encode(tokenizer, texts, max_tokens=max_tokens)
    cut = cut_texts(tokenizer, texts, ids, max_tokens=max_tokens)
    assert soft is None or isinstance(soft, torch.Tensor)
    return TextLesson(
        ids=ids,
        targets=torch.tensor([index[str(row.target)] for row in rows], device=on),
        soft=None if soft is None else soft.to(on),
        weight=recipe.strategy.congruence,
        pad=tokenizer.pad_token_id or 0,
        warning=told_of_cut(rows, cut, max_tokens),
    )


def _of_words(
    rows: Sequence[Row],
    task: Task,
    recipe: Recipe,
    tokenizer: Tokenizer,
    *,
    soft: Soft | None,
    on: torch.device,
) -> WordLesson:
    index = {tag: number for number, tag in enumerate(bio_tags(task.labels))}
    tags = [torch.tensor([index[tag] for tag in _tags(row, task)], device=on) for row in rows]
    texts = [row.text for row in rows]
    found = windows(tokenizer, texts, max_tokens=recipe.hyperparameters.max_tokens)
    parts = [part for part in found if part.words]
    if not parts:
        raise BadInput(f"none of {len(rows)} rows has a word to tag: give texts with words")
    return WordLesson(
        parts=parts,
        usual=sum(len(part.words) for part in parts) / len(parts),
        targets=[tags[part.row][part.words] for part in parts],
        soft=None if soft is None else [soft[part.row][part.words].to(on) for part in parts],
        weight=recipe.strategy.congruence,
        pad=tokenizer.pad_token_id or 0,
    )


def _tags(row: Row, task: Task) -> tuple[str, ...]:
    _check(row, task)
    return tags_of(read_answer(str(row.target)), words_of(row.text))


def _check(row: Row, task: Task) -> None:
    if objection := behaviour(task).objection(str(row.target), task, row.text):
        raise BadInput(f"{row.named}: {objection}")
