"""Texts as words that a model tags: the same words for every tokenizer.

A word is a run of letters, digits and underscores, or one other sign; its first token stands for
it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from shared.domain.bio import OUTSIDE, Word, bio_tags
from shared.domain.tasks import Task
from shared.errors import BadInput
from shared.jobs.batches import inference_batches
from shared.jobs.classifiers import Tokenizer, padded
from shared.jobs.devices import mixed_precision

_WORD = re.compile(r"\w+|[^\w\s]")
# Small batches stay in the cache of a CPU core; a GPU wants more at once.
_TOKENS_IN_A_BATCH = {"cpu": 512, "cuda": 16384}
_ROWS_IN_A_BATCH = 256


@dataclass(frozen=True, slots=True)
class Window:
    """What the model reads at once of a row: its token ids, and where in them words begin.

    ``words`` are the numbers of these words in their text.
    """

    row: int
    ids: list[int]
    heads: list[int]
    words: list[int]


def words_of(text: str) -> list[Word]:
    """(start, end) of each word in characters."""
    return [found.span() for found in _WORD.finditer(text)]


def windows(tokenizer: Tokenizer, texts: Sequence[str], *, max_tokens: int) -> list[Window]:
    """Each text as windows of whole words, at most ``max_tokens`` long; no word is left out.

    A word of which the tokenizer makes nothing is in no window, a text without words in one
    without heads. A single word longer than a window is cut.
    """
    before, after = _frame(tokenizer)
    room = max_tokens - len(before) - len(after)
    if room < 1:
        raise BadInput(f"max_tokens={max_tokens}: no word fits beside the marks of the tokenizer")
    found: list[Window] = []
    for row, pieces in enumerate(_pieces(tokenizer, texts)):
        for part in _parts(pieces, room):
            ids, heads = [*before], list[int]()
            for _, tokens in part:
                heads.append(len(ids))
                ids += tokens
            found.append(Window(row, [*ids, *after], heads, [number for number, _ in part]))
    return found


# Not inference mode: soft targets are made of these.
@torch.no_grad()
def word_probabilities(
    model: Any, tokenizer: Tokenizer, texts: Sequence[str], *, task: Task, max_tokens: int
) -> list[torch.Tensor]:
    """For each text the probabilities of its words' tags, float32 [words, tags], on the CPU.

    Tags are in the order of ``bio_tags``. What the model never saw is surely outside.
    """
    tags = bio_tags(task.labels)
    found = [torch.zeros(len(words_of(text)), len(tags)) for text in texts]
    for words in found:
        words[:, tags.index(OUTSIDE)] = 1.0
    parts = windows(tokenizer, texts, max_tokens=max_tokens)
    on = model.device
    budget = _TOKENS_IN_A_BATCH[on.type]
    lengths = [len(part.ids) for part in parts]
    for batch in inference_batches(lengths, tokens=budget, rows=_ROWS_IN_A_BATCH):
        inputs = padded([parts[i].ids for i in batch], pad=tokenizer.pad_token_id or 0, on=on)
        # The precision it was trained in, as classifiers answer.
        with mixed_precision(on):
            logits = model(**inputs).logits
        read = logits.float().softmax(-1).cpu()
        for at, index in enumerate(batch):
            part = parts[index]
            found[part.row][part.words] = read[at, part.heads]
    return found


def _frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids a tokenizer puts before and after a text."""
    bare = _encoded(tokenizer, [["a"]], special=False)["input_ids"][0]
    whole = _encoded(tokenizer, [["a"]], special=True)["input_ids"][0]
    at = next(n for n in range(len(whole)) if whole[n : n + len(bare)] == bare)
    return whole[:at], whole[at + len(bare) :]


# A word's number, and its token ids.
_Piece = tuple[int, list[int]]


def _pieces(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[_Piece]]:
    split = [[text[start:end] for start, end in words_of(text)] for text in texts]
    found: list[list[_Piece]] = [[] for _ in texts]
    filled = [row for row, words in enumerate(split) if words]
    if not filled:
        return found
    encoded = _encoded(tokenizer, [split[row] for row in filled], special=False)
    for at, row in enumerate(filled):
        for number, token in zip(encoded.word_ids(at), encoded["input_ids"][at], strict=True):
            if found[row] and found[row][-1][0] == number:
                found[row][-1][1].append(token)
            else:
                found[row].append((number, [token]))
    return found


def _encoded(tokenizer: Tokenizer, words: Sequence[Sequence[str]], *, special: bool) -> Any:
    read: Any = tokenizer
    return read(
        words,
        is_split_into_words=True,
        add_special_tokens=special,
        return_attention_mask=False,
        return_token_type_ids=False,
    )


def _parts(pieces: Sequence[_Piece], room: int) -> list[list[_Piece]]:
    """Runs of words that fit; one empty run where there are no words."""
    parts: list[list[_Piece]] = [[]]
    left = room
    for number, tokens in pieces:
        if len(tokens) > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append((number, tokens[:room]))
        left -= len(tokens)
    return parts
