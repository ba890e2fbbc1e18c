"""Classifiers of texts or of words, and tokenizers of Hugging Face, made from a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import torch

from shared.domain.bio import bio_tags
from shared.domain.tasks import Head, Task
from shared.errors import DEFECTS, BadInput
from shared.jobs.weights import config_of, first_line, load_weights, not_its_own
from shared.tasks import behaviour


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer used here."""

    pad_token_id: int | None

    def __call__(
        self,
        text: Sequence[str],
        *,
        truncation: bool,
        max_length: int | None,
        return_attention_mask: bool,
        return_token_type_ids: bool,
    ) -> dict[str, Any]: ...

    def save_pretrained(self, save_directory: Path) -> object: ...


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder. Raises BadInput when there is none that can be read."""
    from transformers import AutoTokenizer

    try:
        found: Any = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        # Without its files transformers makes one that knows no word, and says nothing.
        if len(found) <= len(found.all_special_ids):
            raise ValueError("it knows no word")
    except (OSError, RuntimeError, *DEFECTS) as error:
        raise BadInput(
            f"model {folder}: its tokenizer cannot be read ({first_line(error)}): save it beside "
            "the model with tokenizer.save_pretrained"
        ) from error
    return cast("Tokenizer", found)


def new_classifier(folder: Path, task: Task) -> Any:
    """A model with the task's head, random where the folder has none over so many classes.

    Raises BadInput when its architecture has no such head, or its weights are not its own.
    """
    return _classifier(folder, task, fresh_head=True)


def saved_classifier(folder: Path, task: Task) -> Any:
    """A model whose head was trained for the task. Raises as ``new_classifier``."""
    return _classifier(folder, task, fresh_head=False)


def _classifier(folder: Path, task: Task, *, fresh_head: bool) -> Any:
    classes = head_classes(task)
    model, told = load_weights(
        _with_head(folder, task),
        folder,
        num_labels=len(classes),
        id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
    )
    others = [
        key for key, *_ in told["mismatched_keys"] if not (fresh_head and _of_head(key, model))
    ]
    if others or len(told["missing_keys"]) > len(model.state_dict()) / 2:
        raise not_its_own(folder, others or sorted(told["missing_keys"]))
    return model


def _of_head(key: str, model: Any) -> bool:
    """Whether weights are the head's: those of the encoder begin with its name."""
    return not key.startswith(f"{model.base_model_prefix}.")


def _with_head(folder: Path, task: Task) -> Any:
    """The class of transformers for this architecture and head. Raises BadInput without one."""
    from transformers import (
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
        MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    config = config_of(folder)
    of_words = behaviour(task).head is Head.WORDS
    known: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    if type(config) not in (MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING if of_words else known):
        raise BadInput(
            f"model {folder}: is of architecture {config.model_type!r}, which has no head to "
            f"classify {'words' if of_words else 'texts'}: name an encoder such as bert, roberta, "
            "deberta-v2, distilbert or modernbert"
        )
    return AutoModelForTokenClassification if of_words else AutoModelForSequenceClassification


def head_classes(task: Task) -> tuple[str, ...]:
    """What the head decides between, in its order: labels of a text, or tags of a word."""
    return bio_tags(task.labels) if behaviour(task).head is Head.WORDS else task.labels


def encode(
    tokenizer: Tokenizer, texts: Sequence[str], *, max_tokens: int | None
) -> list[list[int]]:
    """Token ids of each text, cut to ``max_tokens``; with None not cut."""
    encoded = tokenizer(
        list(texts),
        truncation=max_tokens is not None,
        max_length=max_tokens,
        # Nobody reads them, and to make them takes longer than the ids.
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return cast("list[list[int]]", encoded["input_ids"])


def cut_texts(
    tokenizer: Tokenizer, texts: Sequence[str], ids: Sequence[list[int]], *, max_tokens: int
) -> dict[int, int]:
    """Which texts ``encode`` cut: their places, and how many tokens each has."""
    full = [at for at, row in enumerate(ids) if len(row) >= max_tokens]
    whole = encode(tokenizer, [texts[at] for at in full], max_tokens=None) if full else []
    return {at: len(row) for at, row in zip(full, whole, strict=True) if len(row) > len(ids[at])}


def padded(rows: Sequence[list[int]], *, pad: int, on: torch.device) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``attention_mask`` of a batch, as long as its longest row."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {
        "input_ids": ids.to(on, non_blocking=True),
        "attention_mask": mask.to(on, non_blocking=True),
    }
