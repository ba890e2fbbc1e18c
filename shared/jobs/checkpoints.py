"""Trained models as folders: ``adapter.json`` beside a standard PEFT or Hugging Face layout.

LoRA: ``adapter_config.json`` and ``adapter_model.safetensors``, as PEFT writes them.
Full, and LoRA merged into its base: ``config.json``, ``model.safetensors`` and the tokenizer, as
transformers writes them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from shared.adapters.safetensors_header import check_adapter, check_head, check_writer
from shared.domain.answer_form import AnswerForm
from shared.domain.artifacts import ArtifactRef
from shared.domain.pipeline import Method, Recipe
from shared.domain.tasks import Head, Task
from shared.errors import BadInput
from shared.jobs.base_models import base_digest, base_folder
from shared.jobs.chats import open_chat
from shared.jobs.classifiers import Tokenizer, head_classes, load_tokenizer
from shared.jobs.models import context_for, new_model, saved_model
from shared.jobs.writing import pad_of
from shared.ports import ArtifactStore
from shared.tasks import behaviour

ADAPTER = "adapter.json"
FORMAT = 1
# What most encoders of sentences were trained with.
FOREIGN_MAX_TOKENS = 256


class Adapter(BaseModel):
    """``adapter.json``: what the weights beside it are, and what they were made from.

    A checkpoint that was trained elsewhere has no recipe and no training set of ours. An entity is
    named when its probability is at least ``threshold``, 0 to 1. ``merged``: whole weights, though
    its method trained an adapter.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    task: Task
    base_model: str
    base_sha256: str | None = None
    method: Method
    recipe: Recipe | None = None
    training_set: ArtifactRef | None = None
    threshold: float = 0.0
    merged: bool = False

    @property
    def whole(self) -> bool:
        """Whether all weights lie here, and none are taken from the base."""
        return self.merged or self.method is Method.FULL

    @property
    def max_tokens(self) -> int:
        """Tokens of an input that the model shall read, and of what it writes to it."""
        if self.recipe:
            return self.recipe.hyperparameters.max_tokens
        return self.task.form.max_tokens if self.task.form else FOREIGN_MAX_TOKENS

    @property
    def system_prompt(self) -> str:
        """What stands before every request of a model that writes."""
        if self.recipe:
            return self.recipe.hyperparameters.system_prompt
        return self.task.form.system_prompt if self.task.form else ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready for inference, LoRA merged into the base."""

    adapter: Adapter
    model: torch.nn.Module
    tokenizer: Tokenizer

    @property
    def max_tokens(self) -> int:
        """Tokens of an input that are read: as trained, or fewer where the model has no more."""
        return min(self.adapter.max_tokens, context_for(self.model, self.adapter.task))


def describe(task: Task, recipe: Recipe, training_set: ArtifactRef) -> Adapter:
    """The ``adapter.json`` of a training."""
    base_model = recipe.hyperparameters.base_model
    return Adapter(
        format=FORMAT,
        task=task,
        base_model=base_model,
        base_sha256=base_digest(base_folder(base_model)),
        method=recipe.strategy.method,
        recipe=recipe,
        training_set=training_set,
    )


def save(
    artifacts: ArtifactStore, adapter: Adapter, model: Any, tokenizer: Tokenizer, *, name: str
) -> ArtifactRef:
    """Store the model as a folder artifact; safetensors only."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if adapter.whole:
            _tell_its_end(model, adapter, tokenizer)
        model.save_pretrained(folder)
        if adapter.whole:
            tokenizer.save_pretrained(folder)
        files = {file.name: file.read_bytes() for file in folder.iterdir() if _kept(file)}
    files[ADAPTER] = adapter.model_dump_json(indent=1).encode()
    return artifacts.put_folder(files, name=name)


def load(artifacts: ArtifactStore, ref: ArtifactRef) -> Loaded:
    """The model, on the CPU. Raises as ``get_folder``, and BadInput when it does not fit."""
    files = artifacts.get_folder(ref)
    adapter = _described(files, ref)
    _check_weights(files, adapter, ref)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        if adapter.whole:
            return Loaded(adapter, saved_model(folder, adapter.task), load_tokenizer(folder))
        return _load_lora(adapter, folder, ref)


def _tell_its_end(model: Any, adapter: Adapter, tokenizer: Tokenizer) -> None:
    """Other servers would write on behind an answer: they read what ends one beside the weights."""
    if behaviour(adapter.task).head is not Head.NEXT:
        return
    from transformers import GenerationConfig

    chat = open_chat(
        tokenizer,
        adapter.task.form or AnswerForm(),
        system_prompt=adapter.system_prompt,
        max_tokens=adapter.max_tokens,
    )
    model.generation_config = GenerationConfig(
        eos_token_id=list(chat.ends), pad_token_id=pad_of(tokenizer, chat)
    )


def _check_weights(files: dict[str, bytes], adapter: Adapter, ref: ArtifactRef) -> None:
    source = f"adapter {ref}"
    if behaviour(adapter.task).head is not Head.NEXT:
        check_head(files, len(head_classes(adapter.task)), source=source)
    elif adapter.whole:
        check_writer(files, json.loads(files.get("config.json", b"{}")), source=source)
    else:
        check_adapter(files, source=source)


def _load_lora(adapter: Adapter, folder: Path, ref: ArtifactRef) -> Loaded:
    from peft import PeftModel

    base = base_folder(adapter.base_model)
    if adapter.base_sha256 and (found := base_digest(base)) != adapter.base_sha256:
        raise BadInput(
            f"adapter {ref}: was trained on {adapter.base_model} {adapter.base_sha256[:12]}…, "
            f"but here that is {found[:12]}…: install the same base weights"
        )
    model = PeftModel.from_pretrained(new_model(base, adapter.task), str(folder))
    merged: torch.nn.Module = model.merge_and_unload()  # pyright: ignore[reportCallIssue]
    return Loaded(adapter, merged, load_tokenizer(base))


def _described(files: dict[str, bytes], ref: ArtifactRef) -> Adapter:
    if ADAPTER not in files:
        raise BadInput(f"adapter {ref}: has no {ADAPTER}")
    found = json.loads(files[ADAPTER])
    if found.get("format") != FORMAT:
        raise BadInput(f"adapter {ref}: format {found.get('format')}, this version reads {FORMAT}")
    return Adapter.model_validate(found)


def _kept(file: Path) -> bool:
    return file.suffix in (".safetensors", ".json", ".txt", ".model", ".jinja")
