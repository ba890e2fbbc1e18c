"""What lies in safetensors files, read from their headers: no weights are loaded.

A file is the header's length (8 bytes, little endian), a JSON header, and the weights.
"""

import json
from collections.abc import Mapping
from typing import Any

from shared.errors import BadInput

_LFS = b"version https://git-lfs"


def check_head(files: Mapping[str, bytes], classes: int, *, source: str) -> None:
    """Raises BadInput unless these files hold the weights of a head over so many classes.

    A head is a matrix with a row for each class that is no embedding and no low-rank part: without
    it transformers would answer with a random one.
    """
    shapes = _all_shapes(files, source)
    if not any(_is_head(name, shape, classes) for name, shape in shapes.items()):
        raise BadInput(
            f"{source}: none of its {len(shapes)} weights is a head over {classes} classes: save "
            "the whole classifier, for LoRA with the head in modules_to_save"
        )


def check_writer(files: Mapping[str, bytes], config: Mapping[str, Any], *, source: str) -> None:
    """Raises BadInput unless these files hold a causal language model, as its config has it.

    Word vectors have a row for each token of the vocabulary, and so has the head that writes where
    it is not tied to them: without it transformers would write at random.
    """
    shapes = _all_shapes(files, source)
    # Models that see as well keep what they write with apart.
    inner = config.get("text_config")
    text: Mapping[str, Any] = inner if isinstance(inner, dict) else config
    vocabulary = text.get("vocab_size")
    if not isinstance(vocabulary, int):
        return
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings", True))
    least = 1 if tied else 2
    found = sum(len(shape) == 2 and shape[0] == vocabulary for shape in shapes.values())
    if found < least:
        raise BadInput(
            f"{source}: {found} of its {len(shapes)} weights have a row for each of {vocabulary} "
            f"tokens, a model that writes has {least}: save the whole causal model, with its head"
        )


def check_adapter(files: Mapping[str, bytes], *, source: str) -> None:
    """Raises BadInput unless these files hold low-rank adapters: without any, nothing changes."""
    shapes = _all_shapes(files, source)
    if not any("lora_" in name for name in shapes):
        raise BadInput(
            f"{source}: none of its {len(shapes)} weights is a low-rank adapter: save the PEFT "
            "model with save_pretrained"
        )


def _all_shapes(files: Mapping[str, bytes], source: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, data in files.items():
        if name.endswith(".safetensors"):
            shapes |= _shapes(data, f"{source}/{name}")
    return shapes


def _is_head(name: str, shape: tuple[int, ...], classes: int) -> bool:
    if not name.endswith(".weight") or "embed" in name or "lora_" in name:
        return False
    return len(shape) == 2 and shape[0] == classes


def _shapes(data: bytes, file: str) -> dict[str, tuple[int, ...]]:
    if data.startswith(_LFS):
        raise BadInput(f"{file}: is a pointer of Git LFS, not the weights: run git lfs pull")
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length]) if len(data) >= 8 + length else None
        if not isinstance(header, dict):
            raise TypeError("no header")
        header.pop("__metadata__", None)
        return {name: tuple(entry["shape"]) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError):
        raise BadInput(
            f"{file}: is not a whole safetensors file ({len(data)} bytes): save or copy it again"
        ) from None
