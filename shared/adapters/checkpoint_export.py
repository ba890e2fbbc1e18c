"""A stored version as a folder that other servers load: vLLM, TGI, transformers, PEFT."""

import json
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter

from shared.domain.pipeline import Method
from shared.domain.tasks import Task
from shared.errors import BadInput

_TASK = TypeAdapter(Task)
_DESCRIPTION, _LORA, _TEMPLATE = "adapter.json", "adapter_config.json", "chat_template.jinja"


def check_target(folder: Path) -> None:
    """Raises BadInput unless the folder is empty or not there yet."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder: name one that is empty or not there yet")


def is_whole(files: Mapping[str, bytes]) -> bool:
    """Whether all weights lie in a version's files, and none are taken from its base."""
    told = _description(files)
    return bool(told.get("merged")) or told["method"] == Method.FULL


def for_servers(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A version's files with what servers read and Pioneer keeps elsewhere.

    An adapter names its base as it was registered, not as the folder of the machine that trained
    it. The chat template that the task declares lies beside the weights.
    """
    told, found = _description(files), dict(files)
    if _LORA in files and "base_model" in told:
        config = json.loads(files[_LORA]) | {"base_model_name_or_path": told["base_model"]}
        found[_LORA] = json.dumps(config, indent=2).encode()
    form = _TASK.validate_python(told["task"]).form
    if form is not None and form.template is not None:
        found[_TEMPLATE] = form.template.encode()
    return found


def write_checkpoint(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files as a folder, whole or not at all. Raises BadInput where that cannot be."""
    unfinished = folder.with_name(f".{folder.name}.{uuid4().hex}.tmp")
    try:
        for name, data in files.items():
            file = unfinished / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        # Over an empty folder, or where none is.
        unfinished.rename(folder)
    except OSError as error:
        rmtree(unfinished, ignore_errors=True)
        raise BadInput(f"{folder} cannot be written: {error.strerror}") from None


def _description(files: Mapping[str, bytes]) -> dict[str, Any]:
    if _DESCRIPTION not in files:
        raise BadInput(f"the version has no {_DESCRIPTION}: register its checkpoint again")
    return json.loads(files[_DESCRIPTION])
