"""Which weights of a model a training changes: low-rank adapters, or nearly all of them."""

from typing import Any

import torch

from shared.domain.pipeline import Method, Recipe
from shared.jobs.devices import native_dtype
from shared.jobs.heads import has_pooler

# The linear layers of the encoder; the pooler is trained whole.
_BERT_LAYERS = r".*encoder\..*\.(query|key|value|dense)"


def trainable(model: Any, recipe: Recipe) -> Any:
    """The model with the parameters that its strategy trains.

    Full fine-tuning leaves the word embeddings as they are: a small set touches few words, but
    AdamW would go over the whole vocabulary at every step, half of MiniLM's weights.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            # Its random numbers cost a sixth of the time on a CPU.
            module.p = 0.0
    if recipe.strategy.method is Method.FULL:
        model.get_input_embeddings().weight.requires_grad_(False)
        return model
    from peft import LoraConfig, get_peft_model

    rank = recipe.hyperparameters.lora_rank
    layers, whole = _adapted(model)
    config = LoraConfig(
        task_type=_kind(model),
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=layers,
        modules_to_save=whole,
        exclude_modules=whole,
    )
    return _narrowed(get_peft_model(model, config))


def _kind(model: Any) -> str:
    """What PEFT calls such a model."""
    if model.can_generate():
        return "CAUSAL_LM"
    return "TOKEN_CLS" if _tags_words(model) else "SEQ_CLS"


def _adapted(model: Any) -> tuple[str, list[str] | None]:
    """(the layers that get low-rank adapters, those that are trained whole)."""
    if has_pooler(model):
        return _BERT_LAYERS, ["classifier", "pooler"]
    if model.can_generate():
        # Pre-trained, and as large as its vocabulary: "all-linear" leaves what writes as it is.
        return "all-linear", None
    # PEFT knows the usual heads only: one it does not know would be left out of what is saved.
    heads = [
        name
        for name, part in model.named_children()
        if name != model.base_model_prefix and any(True for _ in part.parameters())
    ]
    return "all-linear", heads


def _tags_words(model: Any) -> bool:
    return type(model).__name__.endswith("ForTokenClassification")


def _narrowed(model: Any) -> Any:
    """Frozen weights in bfloat16 where autocast would round them again at every step."""
    dtype = native_dtype(model.device)
    if dtype is torch.float32:
        return model
    # Word embeddings may be tied to the head that writes; they stay as they are.
    writer = model.get_base_model().get_output_embeddings()
    for module in model.modules():
        if module is writer:
            continue
        if isinstance(module, torch.nn.Linear) and _wide_and_frozen(module.weight):
            module.to(dtype)
    return model


def _wide_and_frozen(weight: torch.Tensor) -> bool:
    # Weights in 4-bit are packed into integers, narrower already.
    return weight.is_floating_point() and not weight.requires_grad
