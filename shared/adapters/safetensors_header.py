"""What lies in safetensors files, read from their headers: no weights are loaded.

A file is the header's length (8 bytes, little endian), a JSON header, and the weights.
"""

import json
from collections.abc import Mapping

from shared.errors import BadInput

_LFS = b"version https://git-lfs"


def check_head(files: Mapping[str, bytes], classes: int, *, source: str) -> None:
    """Raises BadInput unless these files hold the weights of a head over so many classes.

    A head is a matrix with a row for each class that is no embedding and no low-rank part: without
    it transformers would answer with a random one.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, data in files.items():
        if name.endswith(".safetensors"):
            shapes |= _shapes(data, f"{source}/{name}")
    if not any(_is_head(name, shape, classes) for name, shape in shapes.items()):
        raise BadInput(
            f"{source}: none of its {len(shapes)} weights is a head over {classes} classes: save "
            "the whole classifier, for LoRA with the head in modules_to_save"
        )


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
