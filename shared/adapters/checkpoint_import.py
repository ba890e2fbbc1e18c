"""A checkpoint folder from elsewhere as an artifact of ours: PEFT or Hugging Face layout."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.domain.artifacts import ArtifactRef
from shared.domain.bio import OUTSIDE, bio_tags, entity_type
from shared.domain.pipeline import Method
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput
from shared.ports import ArtifactStore

KEPT = (".safetensors", ".json", ".txt", ".model", ".jinja")
# How a model that writes is asked and scored, beside its weights.
FORM = "task.json"

_TASK = TypeAdapter(Task)


@dataclass(frozen=True, slots=True)
class ImportedCheckpoint:
    ref: ArtifactRef
    task: Task
    base_model: str


def import_checkpoint(
    artifacts: ArtifactStore, folder: Path, *, name: str, base_model: str | None
) -> ImportedCheckpoint:
    """Store a model that classifies texts or words, or writes. Raises BadInput naming a wrong file.

    LoRA: ``adapter_config.json``, ``adapter_model.safetensors`` and ``labels.json`` (the labels in
    the head's order, sorted; BIO tags name entities). Full: ``config.json`` with ``id2label``,
    ``model.safetensors`` and the tokenizer. A causal language model has ``task.json`` in place of
    labels: ``form`` and, where answers are few, ``labels``. A folder with our ``adapter.json`` is
    taken as it is. Pickles are refused.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder: give the checkpoint's folder")
    files = {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.suffix in KEPT}
    files.pop("manifest.json", None)
    if not any(file.endswith(".safetensors") for file in files):
        raise BadInput(f"{folder} holds no .safetensors file: save the checkpoint in that format")
    described = _ours(files) or _described(files, folder, base_model)
    files["adapter.json"] = json.dumps(described, indent=1).encode()
    task = _TASK.validate_python(described["task"])
    ref = artifacts.put_folder(files, name=name)
    return ImportedCheckpoint(ref, task, described["base_model"])


def _ours(files: dict[str, bytes]) -> dict[str, Any] | None:
    return json.loads(files["adapter.json"]) if "adapter.json" in files else None


def _described(files: dict[str, bytes], folder: Path, base_model: str | None) -> dict[str, Any]:
    if "adapter_config.json" in files:
        method = Method.LORA
        config = _json(files, "adapter_config.json", folder)
        base = base_model or config.get("base_model_name_or_path")
        writes = config.get("task_type") == "CAUSAL_LM"
    else:
        method, base = Method.FULL, base_model
        config = _json(files, "config.json", folder)
        writes = any(name.endswith(_WRITERS) for name in config.get("architectures") or ())
    task = _written(files, folder) if writes else _task(_labels(files, folder), folder)
    if not base:
        raise BadInput(
            f"{folder} does not say what it was trained from: name the base model with "
            "--base-model, new versions are trained from it"
        )
    return {
        "format": 1,
        "task": _TASK.dump_python(task, mode="json"),
        "base_model": base,
        "method": method.value,
    }


_WRITERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def _labels(files: dict[str, bytes], folder: Path) -> list[str]:
    """The labels or tags of a head, in its order."""
    if "adapter_config.json" in files:
        return _json(files, "labels.json", folder)
    numbered: dict[str, str] = _json(files, "config.json", folder).get("id2label", {})
    return [numbered[key] for key in sorted(numbered, key=int)]


def _written(files: dict[str, bytes], folder: Path) -> Task:
    """The task that a model which writes declares; answers are free and exact without a word."""
    told = json.loads(files.get(FORM, b"{}"))
    try:
        return _TASK.validate_python({"labels": ()} | told | {"kind": TaskKind.GENERATION})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, wrong["loc"]))
        raise BadInput(f"{folder / FORM}: {place} {wrong['msg']}") from None


def _task(labels: list[str], folder: Path) -> Task:
    """Classification by these labels; naming entities where they are BIO tags."""
    if OUTSIDE in labels and any(label.startswith("B-") for label in labels):
        types = tuple(sorted({of_type for label in labels if (of_type := entity_type(label))}))
        if tuple(labels) != bio_tags(types):
            raise BadInput(
                f"{folder}: the head's tags {labels[:4]}… are not O, then B- and I- of each type "
                "in sorted order: Pioneer keeps heads so, save the checkpoint so"
            )
        return Task(TaskKind.NER, types)
    if labels != sorted(labels) or len(labels) < 2:
        raise BadInput(
            f"{folder}: the head's labels {labels[:4]}… are not in sorted order: "
            "Pioneer keeps heads in sorted order, save the checkpoint so"
        )
    return Task(TaskKind.CLASSIFICATION, tuple(labels))


def _json(files: dict[str, bytes], name: str, folder: Path) -> Any:
    if name not in files:
        raise BadInput(f"{folder} has no {name}: see the layout in the documentation")
    return json.loads(files[name])
