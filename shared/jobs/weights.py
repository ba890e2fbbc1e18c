"""Weights of Hugging Face, read from a folder: the one place that says what may be loaded.

Safetensors only, and no code that comes with a model. What is refused is named with its remedy.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from shared.errors import DEFECTS, BadInput


def load_weights(kind: Any, folder: Path, **more: Any) -> tuple[Any, dict[str, Any]]:
    """A model by a class of transformers, float32 on the CPU, and what was told of its weights.

    ``more`` is said to the class besides. Weights that are missing or of another shape are drawn
    at random and told: refusing them is up to the caller. Raises BadInput for weights that cannot
    be read.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    # What is missing is told: the table of it would only alarm.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return kind.from_pretrained(
            str(folder),
            dtype=torch.float32,
            # Fused attention pays for long rows on a GPU; on a CPU it is slower for short ones.
            attn_implementation=None if torch.cuda.is_available() else "eager",
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **more,
        )
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInput(
            f"model {folder}: its weights cannot be read ({first_line(error)}): save or fetch it "
            "again, as safetensors"
        ) from error


def config_of(folder: Path) -> Any:
    """The configuration of a model folder. Raises BadInput for one that transformers cannot use."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except (OSError, *DEFECTS) as error:
        raise BadInput(
            f"model {folder}: its config.json cannot be used ({first_line(error)}): name a model "
            "of an architecture that transformers knows, without code of its own"
        ) from error


def not_its_own(folder: Path, wrong: Sequence[str]) -> BadInput:
    """What is said of a model of which these weights are missing or of another shape."""
    return BadInput(
        f"model {folder}: {len(wrong)} of its weights, such as {wrong[0]}, are not there or of "
        "another shape than its config.json says: save the whole model again"
    )


def context_of(model: Any) -> int:
    """How many tokens a model can read at once; very many where positions have no end."""
    embedded = next(
        (part for name, part in model.named_modules() if name.endswith("position_embeddings")), None
    )
    if isinstance(embedded, torch.nn.Embedding):
        # RoBERTa counts positions from behind its padding's.
        first = 0 if embedded.padding_idx is None else embedded.padding_idx + 1
        return embedded.num_embeddings - first
    found = getattr(model.config, "max_position_embeddings", None) or 0
    # XLNet writes -1 for no end.
    return found if found > 0 else sys.maxsize


def first_line(error: BaseException) -> str:
    """What a library says of an error, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
