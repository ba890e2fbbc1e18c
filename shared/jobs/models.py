"""A model with the head that its task needs, from a folder."""

from pathlib import Path
from typing import Any

import torch

from shared.domain.tasks import Head, Task
from shared.errors import BadInput
from shared.jobs.classifiers import new_classifier
from shared.tasks import behaviour


def new_model(folder: Path, task: Task) -> Any:
    """A classifier, or a causal language model; float32, on the CPU.

    Raises BadInput for a folder that cannot write where the task is to write.
    """
    if behaviour(task).head is Head.NEXT:
        return _new_writer(folder)
    return new_classifier(folder, task)


def _new_writer(folder: Path) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
    from transformers.utils import logging

    config: Any = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    if not _writes(config):
        raise BadInput(
            f"{folder.name}: a model of type {config.model_type!r} has no head that writes: "
            "choose a causal language model as base"
        )
    logging.disable_progress_bar()
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(folder),
        dtype=torch.float32,
        # As in ``new_classifier``.
        attn_implementation=None if torch.cuda.is_available() else "eager",
        use_safetensors=True,
        trust_remote_code=False,
    )
    # What its authors sample with would change greedy answers.
    model.generation_config = GenerationConfig()
    return model


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
