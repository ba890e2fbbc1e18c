"""A GGUF file as a base model: converted once to a folder of safetensors."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch

from shared.errors import BadInput


def from_gguf(file: Path, folder: Path) -> Path:
    """The folder with the model of a GGUF file, float32; made when it is not there yet.

    Quantised weights are read as what they stand for. Raises BadInput when it is no such file.
    """
    if (folder / "config.json").is_file():
        return folder
    if not file.is_file() or file.suffix != ".gguf":
        raise BadInput(f"{file}: is no GGUF file")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, dtype=torch.float32
    )
    # The weights are quantised no more, and what says that they are cannot be saved.
    del model.config.quantization_config
    del model.hf_quantizer
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: who looks while it is written must not find half a model.
    made = Path(mkdtemp(dir=folder.parent))
    tokenizer.save_pretrained(made)
    model.save_pretrained(made)
    try:
        os.replace(made, folder)  # noqa: PTH105
    except OSError:
        # Another process was first; anything else in that place is not ours to remove.
        if not (folder / "config.json").is_file():
            raise
        shutil.rmtree(made)
    return folder
