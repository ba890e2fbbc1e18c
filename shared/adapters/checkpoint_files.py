"""Files of a checkpoint folder, in memory: what they say, or a sentence for what is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.errors import BadInput

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", ".model")
_LAYOUT = {
    "config.json": "save the model with save_pretrained",
    "adapter_config.json": "save the adapter with save_pretrained",
    "labels.json": "write the labels as a JSON list, in the order of the head",
}


def read_object(files: Mapping[str, bytes], name: str, folder: Path) -> dict[str, Any]:
    """A file that is a JSON object. Raises BadInput naming it."""
    found = read_json(files, name, folder)
    if not isinstance(found, dict):
        raise BadInput(f"{folder}/{name}: is not a JSON object: save the checkpoint again")
    return found


def read_json(files: Mapping[str, bytes], name: str, folder: Path) -> Any:
    """A file of JSON. Raises BadInput naming it, or how to have it."""
    if name not in files:
        raise BadInput(f"{folder} has no {name}: {_LAYOUT[name]}")
    try:
        return json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{folder}/{name}: is not JSON ({error}): save it again") from None


def texts(found: Any, source: str) -> list[str]:
    """What shall be a list of texts. Raises BadInput naming its source."""
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadInput(f"{source}: want a list of texts, found {json.dumps(found)[:60]}")
    return found


def check_tokenizer(files: Mapping[str, bytes], folder: Path) -> None:
    """Raises BadInput for a whole model without its tokenizer."""
    if not any(file.endswith(_TOKENIZERS) for file in files):
        raise BadInput(
            f"{folder} has no tokenizer: save it beside the model with tokenizer.save_pretrained"
        )
