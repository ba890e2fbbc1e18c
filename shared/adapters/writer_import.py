"""Causal language models from elsewhere: the task they declare, and whether they can be asked."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from shared.adapters.checkpoint_files import check_tokenizer, read_object
from shared.domain.answer_form import OWN, AnswerForm
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadInput

# How a model that writes is asked and scored, beside its weights.
FORM = "task.json"

_TEMPLATE_FILES = {"chat_template.jinja", "chat_template.json"}

_TASK = TypeAdapter(Task)


def declared_by(file: Path) -> Task:
    """The task that a file declares. Raises BadInput naming it."""
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give a file of JSON") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput(f'{file}: is no JSON object: write {{"form": {{…}}}} into it')
    return declared(cast("dict[str, Any]", found), file)


def declared(told: Mapping[str, Any], place: Path) -> Task:
    """The task that a model which writes declares; answers are free and exact without a word."""
    form = told.get("form") or {}
    known = {"kind", "labels", "form"}, {field.name for field in fields(AnswerForm)}
    for found, names in zip((told, form), known, strict=True):
        if unknown := sorted(set(found) - names) if isinstance(found, dict) else []:
            raise BadInput(
                f"{place}: {unknown[0]!r} is nothing that can be said there: give "
                f"{', '.join(sorted(names))}"
            )
    if told.get("kind", TaskKind.GENERATION) != TaskKind.GENERATION:
        raise BadInput(
            f"{place}: kind is {told['kind']!r}, but the model writes: leave the kind out, or "
            "give a classifier"
        )
    try:
        return _TASK.validate_python({"labels": (), **told, "kind": TaskKind.GENERATION})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise BadInput(f"{place}: {where} {wrong['msg']}") from None


def check_writes(
    files: Mapping[str, bytes], config: Mapping[str, Any], task: Task, folder: Path
) -> None:
    """Raises BadInput for a whole model that cannot be asked, or is of another make."""
    if config.get("is_encoder_decoder"):
        raise BadInput(
            f"{folder}: is an encoder with a decoder: give a causal language model (…ForCausalLM)"
        )
    check_tokenizer(files, folder)
    own = task.form is not None and task.form.chat_template == OWN
    if own and not (_TEMPLATE_FILES & files.keys() or _said_by_tokenizer(files, folder)):
        raise BadInput(
            f"{folder} brings no chat template: declare one in {FORM}, as form.chat_template, or "
            "save it with the tokenizer"
        )


def _said_by_tokenizer(files: Mapping[str, bytes], folder: Path) -> bool:
    """Whether the tokenizer's configuration holds a chat template."""
    name = "tokenizer_config.json"
    return name in files and bool(read_object(files, name, folder).get("chat_template"))
