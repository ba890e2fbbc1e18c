"""A checkpoint folder from elsewhere as an artifact of ours: PEFT or Hugging Face layout."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from shared.adapters.checkpoint_files import check_tokenizer, read_json, read_object, texts
from shared.adapters.safetensors_header import check_adapter, check_head, check_writer
from shared.adapters.writer_import import FORM, check_writes, declared
from shared.domain.artifacts import ArtifactRef
from shared.domain.bio import OUTSIDE, bio_tags, entity_type
from shared.domain.pipeline import Method
from shared.domain.tasks import Head, Task, TaskKind
from shared.errors import BadInput
from shared.ports import ArtifactStore
from shared.tasks import behaviour

KEPT = (".safetensors", ".json", ".txt", ".model", ".jinja")
_TASK = TypeAdapter(Task)
# How the classes of transformers, and PEFT's task types, say what they decide on.
_HEADS = {
    Head.TEXT: ("ForSequenceClassification", "SEQ_CLS"),
    Head.WORDS: ("ForTokenClassification", "TOKEN_CLS"),
}
_WRITERS = ("CAUSAL_LM", "ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
# What tags of words begin with, in BIO and in other schemes.
_MARKS = ("B-", "I-", "E-", "S-", "L-", "U-", "M-")


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
    files = {
        f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.suffix in KEPT and f.is_file()
    }
    files.pop("manifest.json", None)
    if not any(file.endswith(".safetensors") for file in files):
        raise BadInput(f"{folder} holds no .safetensors file: save the checkpoint in that format")
    described = _ours(files, folder) or _described(files, folder, base_model)
    _check_weights(files, described.task, folder)
    if described.written:
        files["adapter.json"] = json.dumps(described.written, indent=1).encode()
    ref = artifacts.put_folder(files, name=name)
    return ImportedCheckpoint(ref, described.task, described.base_model)


def _check_weights(files: dict[str, bytes], task: Task, folder: Path) -> None:
    head = behaviour(task).head
    if head is not Head.NEXT:
        classes = bio_tags(task.labels) if head is Head.WORDS else task.labels
        check_head(files, len(classes), source=str(folder))
    elif "adapter_config.json" in files:
        check_adapter(files, source=str(folder))
    else:
        check_writer(files, read_object(files, "config.json", folder), source=str(folder))


@dataclass(frozen=True, slots=True)
class _Described:
    """What a folder holds; ``written`` is the ``adapter.json`` it lacks."""

    task: Task
    base_model: str
    written: dict[str, Any] | None = None


def _ours(files: dict[str, bytes], folder: Path) -> _Described | None:
    if "adapter.json" not in files:
        return None
    found = read_json(files, "adapter.json", folder)
    try:
        kind, labels, base = found["task"]["kind"], found["task"]["labels"], found["base_model"]
    except (KeyError, TypeError):
        raise BadInput(
            f"{folder}/adapter.json: has no task with kind and labels, or no base_model: leave "
            "the file out to have the folder read as PEFT or Hugging Face wrote it"
        ) from None
    if kind == TaskKind.GENERATION:
        return _Described(declared(found["task"], folder / "adapter.json"), base)
    return _Described(_task_of(kind, texts(labels, f"{folder}/adapter.json"), folder), base)


def _described(files: dict[str, bytes], folder: Path, base_model: str | None) -> _Described:
    if "adapter_config.json" in files:
        method = Method.LORA
        config = read_object(files, "adapter_config.json", folder)
        base = base_model or config.get("base_model_name_or_path")
        said = [str(config["task_type"])] if config.get("task_type") else []
    else:
        method, base = Method.FULL, base_model
        config = read_object(files, "config.json", folder)
        said = texts(config.get("architectures") or [], f"{folder}/config.json: architectures")
    if any(one.endswith(_WRITERS) for one in said) or (FORM in files and not said):
        task = declared(read_object(files, FORM, folder) if FORM in files else {}, folder / FORM)
        if method is Method.FULL:
            check_writes(files, config, task, folder)
    else:
        task = _classifying(files, config, said, folder)
    if not base:
        raise BadInput(
            f"{folder} does not say what it was trained from: name the base model with "
            "--base-model, new versions are trained from it"
        )
    written = {
        "format": 1,
        "task": _TASK.dump_python(task, mode="json"),
        "base_model": base,
        "method": method.value,
    }
    return _Described(task, base, written)


def _classifying(
    files: dict[str, bytes], config: dict[str, Any], said: Sequence[str], folder: Path
) -> Task:
    """The task of a classifier, by the labels of its head."""
    _check_classifies(said, folder)
    if "adapter_config.json" in files:
        labels = texts(read_json(files, "labels.json", folder), f"{folder}/labels.json")
    else:
        labels = _numbered(config, folder)
        _check_whole(files, config, folder)
    task = _task(labels, folder)
    _check_agrees(said, labels, task, folder)
    return task


def _check_classifies(said: Sequence[str], folder: Path) -> None:
    known = [name for names in _HEADS.values() for name in names]
    if said and not any(one.endswith(tuple(known)) for one in said):
        raise BadInput(
            f"{folder}: is a {said[0]}, which has no head to classify with: give a classifier of "
            "texts (…ForSequenceClassification) or of words (…ForTokenClassification), or a "
            "model that writes (…ForCausalLM)"
        )


def _check_agrees(said: Sequence[str], labels: Sequence[str], task: Task, folder: Path) -> None:
    """The labels decide what the task is: what the model says of itself must agree."""
    head = behaviour(task).head
    if said and not any(one.endswith(_HEADS[head]) for one in said):
        are = "BIO tags" if head is Head.WORDS else "not BIO tags (O, B-type, I-type)"
        raise BadInput(
            f"{folder}: is a {said[0]}, but its labels {list(labels[:4])}… are {are}: texts are "
            "classified by labels, words by BIO tags, save the checkpoint so"
        )


def _check_whole(files: dict[str, bytes], config: dict[str, Any], folder: Path) -> None:
    if (problem := config.get("problem_type")) not in (None, "single_label_classification"):
        raise BadInput(
            f"{folder}/config.json: problem_type is {problem!r}, but an answer is one label here: "
            "give a classifier trained for single_label_classification"
        )
    check_tokenizer(files, folder)


def _numbered(config: dict[str, Any], folder: Path) -> list[str]:
    numbered = config.get("id2label")
    try:
        if not numbered:
            raise ValueError("no labels")
        keys = sorted(numbered, key=int)
        if [int(key) for key in keys] != list(range(len(keys))):
            raise ValueError("numbers are missing")
    except (ValueError, TypeError):
        raise BadInput(
            f"{folder}/config.json: id2label does not name the labels 0, 1, 2, …: set id2label "
            "and label2id before you save the classifier"
        ) from None
    return texts([numbered[key] for key in keys], f"{folder}/config.json: id2label")


def _task(labels: list[str], folder: Path) -> Task:
    """Classification by these labels; naming entities where they are BIO tags."""
    if OUTSIDE in labels and any(label.startswith(_MARKS) for label in labels):
        types = tuple(sorted({of_type for label in labels if (of_type := entity_type(label))}))
        if tuple(labels) != bio_tags(types):
            raise BadInput(
                f"{folder}: the head's tags {labels[:4]}… are not O, then B- and I- of each type "
                "in sorted order: Pioneer keeps heads so, save the checkpoint so"
            )
        return Task(TaskKind.NER, types)
    return _task_of(TaskKind.CLASSIFICATION, labels, folder)


def _task_of(kind: str, labels: Sequence[str], folder: Path) -> Task:
    if kind not in list(TaskKind):
        known = " or ".join(TaskKind)
        raise BadInput(f"{folder}: its task is of kind {kind!r}, which is unknown: use {known}")
    if list(labels) != sorted(labels):
        raise BadInput(
            f"{folder}: the head's labels {list(labels[:4])}… are not in sorted order: "
            "Pioneer keeps heads in sorted order, save the checkpoint so"
        )
    try:
        return Task(TaskKind(kind), tuple(labels))
    except ValueError as error:
        raise BadInput(f"{folder}: {error}") from None
