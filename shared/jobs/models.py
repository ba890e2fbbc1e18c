"""A model with the head that its task needs, from a folder."""

from pathlib import Path
from typing import Any

import torch

from shared.domain.tasks import Head, Task
from shared.errors import BadInput
from shared.jobs.classifiers import new_classifier, saved_classifier
from shared.jobs.four_bit import nf4
from shared.jobs.weights import config_of, context_of, load_weights, not_its_own
from shared.tasks import behaviour


def new_model(folder: Path, task: Task) -> Any:
    """A classifier, or a causal language model; float32, on the CPU.

    Raises BadInput for a folder that cannot write where the task is to write.
    """
    if behaviour(task).head is Head.NEXT:
        return _writer(folder)
    return new_classifier(folder, task)


def small_model(folder: Path, task: Task, *, on: torch.device) -> Any:
    """A causal language model on a device, in 4-bit but for word vectors and what writes.

    Raises BadInput where that cannot be, and for a task that does not write.
    """
    if behaviour(task).head is not Head.NEXT:
        raise BadInput(f"four_bit for task {task.kind!r}: only a base that writes is held in 4-bit")
    return _writer(folder, **nf4(on))


def saved_model(folder: Path, task: Task) -> Any:
    """A model that was trained for the task, as ``new_model``. Raises BadInput without its head."""
    if behaviour(task).head is Head.NEXT:
        return _writer(folder)
    return saved_classifier(folder, task)


def context_for(model: Any, task: Task) -> int:
    """How many tokens of a request and its answer fit, the answer's end beside them."""
    return context_of(model) - (1 if behaviour(task).head is Head.NEXT else 0)


def _writer(folder: Path, **more: Any) -> Any:
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = config_of(folder)
    if not _writes(config):
        raise BadInput(
            f"{folder.name}: a model of type {config.model_type!r} has no head that writes: "
            "choose a causal language model as base"
        )
    model, told = load_weights(AutoModelForCausalLM, folder, **more)
    # Nothing of it is new: what is not there would write at random.
    wrong = sorted([*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])])
    if wrong:
        raise not_its_own(folder, wrong)
    # What its authors sample with would change greedy answers.
    model.generation_config = GenerationConfig()
    model.get_output_embeddings().register_forward_pre_hook(_in_one_piece)
    return model


def _in_one_piece(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Hidden states cut from longer rows are copied together, or a CPU would multiply the whole
    vocabulary once for each row: eighteen times slower with Gemma's.
    """
    hidden, *rest = given
    return (hidden.contiguous(), *rest)


def _writes(config: Any) -> bool:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_MASKED_LM_MAPPING,
    )

    kind = type(config)
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING or config.is_encoder_decoder:
        return False
    # BERT and its kin have a causal class too, for decoders that were trained as such.
    return kind not in MODEL_FOR_MASKED_LM_MAPPING or bool(getattr(config, "is_decoder", False))
