"""Classifiers of texts or of words, and tokenizers of Hugging Face, made from a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import torch

from shared.domain.bio import bio_tags
from shared.domain.tasks import Head, Task
from shared.tasks import behaviour


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer used here."""

    pad_token_id: int | None

    def __call__(
        self,
        text: Sequence[str],
        *,
        truncation: bool,
        max_length: int,
        return_attention_mask: bool,
        return_token_type_ids: bool,
    ) -> dict[str, Any]: ...

    def save_pretrained(self, save_directory: Path) -> object: ...


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder."""
    from transformers import AutoTokenizer

    return cast("Tokenizer", AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False))


def new_classifier(folder: Path, task: Task) -> Any:
    """A model with the task's head; weights missing in the folder (the head) are random."""
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification
    from transformers.utils import logging

    of_words = behaviour(task).head is Head.WORDS
    kind = AutoModelForTokenClassification if of_words else AutoModelForSequenceClassification
    classes = head_classes(task)

    # A new head is expected: the table of missing keys would only alarm.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return kind.from_pretrained(
        str(folder),
        num_labels=len(classes),
        id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
        dtype=torch.float32,
        # Fused attention pays for long rows on a GPU; on a CPU it is slower for short ones.
        attn_implementation=None if torch.cuda.is_available() else "eager",
        use_safetensors=True,
        trust_remote_code=False,
    )


def head_classes(task: Task) -> tuple[str, ...]:
    """What the head decides between, in its order: labels of a text, or tags of a word."""
    return bio_tags(task.labels) if behaviour(task).head is Head.WORDS else task.labels


def encode(tokenizer: Tokenizer, texts: Sequence[str], *, max_tokens: int) -> list[list[int]]:
    """Token ids of each text, cut to ``max_tokens``."""
    encoded = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_tokens,
        # Nobody reads them, and to make them takes longer than the ids.
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return cast("list[list[int]]", encoded["input_ids"])


def padded(rows: Sequence[list[int]], *, pad: int, on: torch.device) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``attention_mask`` of a batch, as long as its longest row."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {
        "input_ids": ids.to(on, non_blocking=True),
        "attention_mask": mask.to(on, non_blocking=True),
    }
