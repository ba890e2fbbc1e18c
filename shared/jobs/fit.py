"""One training of one candidate, on the CPU or GPU this process has."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from shared.domain.pipeline import Hyperparameters, Method, Recipe
from shared.domain.tasks import Task
from shared.errors import BadInput
from shared.jobs.base_models import base_folder
from shared.jobs.batches import training_batches, within_memory
from shared.jobs.classifiers import Tokenizer, encode, load_tokenizer, new_classifier, padded
from shared.jobs.devices import device, mixed_precision
from shared.jobs.heads import has_pooler, start_at_class_means
from shared.jobs.rows import Row

# The linear layers of the encoder; the pooler is trained whole.
_BERT_LAYERS = r".*encoder\..*\.(query|key|value|dense)"

# Activations grow with the tokens of a pass; long texts must not take gigabytes.
_TOKENS_AT_ONCE = {"cpu": 2_048, "cuda": 65_536}

Progress = Callable[[int, int, float | None], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model (a PEFT model for LoRA) and what its training cost."""

    model: Any
    tokenizer: Tokenizer
    final_loss: float
    train_seconds: float
    examples_per_second: float


def fit(
    rows: Sequence[Row], task: Task, recipe: Recipe, *, report: Progress, due: Callable[[], bool]
) -> Fitted:
    """Train from the base model. Equal input gives equal weights on the same machine.

    ``report(step, steps, loss)`` is called when ``due()`` says so, and at the last step.
    """
    h, on = recipe.hyperparameters, device()
    _seed(h.seed, on)
    targets = _targets(rows, task)
    base = base_folder(h.base_model)
    tokenizer = load_tokenizer(base)
    pad = tokenizer.pad_token_id or 0
    ids = encode(tokenizer, [row.text for row in rows], max_tokens=h.max_tokens)
    start = time.perf_counter()
    model = new_classifier(base, task).to(on)
    if has_pooler(model):
        start_at_class_means(model, ids, targets, pad=pad)
    model = trainable(model, recipe).train()
    batches = _all_epochs([len(row) for row in ids], h)
    optimiser, schedule = _optimiser(model, h, steps=len(batches))
    losses: list[torch.Tensor] = []
    for number, batch in enumerate(batches, 1):
        loss = torch.zeros((), device=on)
        for part in within_memory(batch, ids, tokens=_TOKENS_AT_ONCE[on.type]):
            inputs = padded([ids[i] for i in part], pad=pad, on=on)
            with mixed_precision(on):
                logits = model(**inputs).logits
            wanted = torch.tensor([targets[i] for i in part], device=on)
            total = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum")
            (total / len(batch)).backward()
            loss += total.detach() / len(batch)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss)
        if due() or number == len(batches):
            report(number, len(batches), _finite(loss.item(), number, recipe))
    seconds = time.perf_counter() - start
    last_epoch = losses[-(len(batches) // h.epochs) :]
    return Fitted(
        model=model,
        tokenizer=tokenizer,
        final_loss=torch.stack(last_epoch).mean().item(),
        train_seconds=seconds,
        examples_per_second=len(rows) * h.epochs / seconds,
    )


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
    pooled = has_pooler(model)
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=_BERT_LAYERS if pooled else "all-linear",
        modules_to_save=["classifier", "pooler"] if pooled else None,
    )
    return _narrowed(get_peft_model(model, config))


def _narrowed(model: Any) -> Any:
    """Frozen weights in bfloat16 where autocast would round them again at every step."""
    with mixed_precision(model.device):
        if not torch.is_autocast_enabled(model.device.type):
            return model
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.requires_grad:
            module.to(torch.bfloat16)
    return model


def _optimiser(
    model: Any, h: Hyperparameters, *, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with linear warm-up and linear decay to zero."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=h.learning_rate, weight_decay=h.weight_decay, fused=True
    )
    warmup = max(1, int(steps * h.warmup_share))

    def factor(step: int) -> float:
        return min((step + 1) / warmup, max(0.0, (steps - step) / max(1, steps - warmup)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _all_epochs(lengths: Sequence[int], h: Hyperparameters) -> list[list[int]]:
    rng = Random(h.seed)
    return [
        batch
        for _ in range(h.epochs)
        for batch in training_batches(lengths, size=h.batch_size, rng=rng)
    ]


def _targets(rows: Sequence[Row], task: Task) -> list[int]:
    index = {label: number for number, label in enumerate(task.labels)}
    if unknown := sorted({str(row.target) for row in rows if row.target not in index}):
        raise BadInput(f"targets {unknown[:5]} are not among the {len(index)} labels of the task")
    return [index[str(row.target)] for row in rows]


def _seed(seed: int, on: torch.device) -> None:
    torch.manual_seed(seed)
    if on.type == "cuda":
        # cuBLAS reads this when its first handle is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def _finite(loss: float, step: int, recipe: Recipe) -> float:
    if not math.isfinite(loss):
        raise BadInput(f"{recipe.name}: loss {loss} at step {step}; lower the learning rate")
    return loss
