"""One training of one candidate, on the CPU or GPU this process has."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch

from shared.domain.pipeline import Hyperparameters, Recipe
from shared.domain.tasks import Task
from shared.errors import BadInput
from shared.jobs.base_models import base_folder
from shared.jobs.batches import training_batches
from shared.jobs.classifiers import Tokenizer, load_tokenizer
from shared.jobs.congruence import MeanWeights
from shared.jobs.devices import device, mixed_precision
from shared.jobs.lessons import Lesson, Soft, prepare
from shared.jobs.models import context_for, new_model, small_model
from shared.jobs.rows import Row
from shared.jobs.trainable import trainable

# Activations grow with the tokens of a pass; long texts must not take gigabytes.
_TOKENS_AT_ONCE = {"cpu": 2_048, "cuda": 65_536}

Progress = Callable[[int, int, float | None], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model (a PEFT model for LoRA) and what its training cost.

    ``warning`` says what of the rows was not learned; empty when all was.
    """

    model: Any
    tokenizer: Tokenizer
    final_loss: float
    train_seconds: float
    examples_per_second: float
    warning: str = ""


def fit(
    rows: Sequence[Row],
    task: Task,
    recipe: Recipe,
    *,
    report: Progress,
    due: Callable[[], bool],
    soft: Soft | None = None,
) -> Fitted:
    """Train from the base model. Equal input gives equal weights on the same machine.

    ``soft`` are the soft targets of a strategy with congruence, as ``soft_targets`` gives them.
    ``report(step, steps, loss)`` is called when ``due()`` says so, and at the last step.
    """
    h, on = recipe.hyperparameters, device()
    _seed(h.seed, on)
    base = base_folder(h.base_model)
    tokenizer = load_tokenizer(base)
    start = time.perf_counter()
    model = _base_model(base, task, recipe, on)
    read = replace(recipe, hyperparameters=_within(context_for(model, task), h))
    lesson = prepare(rows, task, read, tokenizer, soft=soft, on=on)
    lesson.start(model)
    model = trainable(model, recipe).train()
    lengths = [len(ids) for ids in lesson.ids]
    orders = [_all_epochs(lengths, h, order=o) for o in range(recipe.strategy.orders)]
    steps, done, losses = sum(map(len, orders)), 0, list[torch.Tensor]()
    mean = MeanWeights(model)
    for batches in orders:
        mean.restart()
        for loss in _trained(model, lesson, batches, recipe, mean):
            losses.append(loss)
            done += 1
            if due() or done == steps:
                report(done, steps, _finite(loss.item(), done, recipe))
    mean.settle()
    seconds = time.perf_counter() - start
    last_epoch = losses[-(len(orders[-1]) // h.epochs) :]
    return Fitted(
        model=model,
        tokenizer=tokenizer,
        final_loss=torch.stack(last_epoch).mean().item(),
        train_seconds=seconds,
        examples_per_second=len(rows) * h.epochs * len(orders) / seconds,
        warning=lesson.warning,
    )


def _base_model(base: Path, task: Task, recipe: Recipe, on: torch.device) -> Any:
    if recipe.strategy.four_bit:
        return small_model(base, task, on=on)
    return new_model(base, task).to(on)


def _within(context: int, h: Hyperparameters) -> Hyperparameters:
    """Inputs are cut at what the model can read, as Hugging Face does: more has no position."""
    return replace(h, max_tokens=min(h.max_tokens, context))


def _trained(
    model: Any,
    lesson: Lesson,
    batches: Sequence[list[int]],
    recipe: Recipe,
    mean: MeanWeights,
) -> Iterator[torch.Tensor]:
    """Go over the batches once; the loss of each. The weights that count go into the mean."""
    on = model.device
    optimiser, schedule = _optimiser(model, recipe, steps=len(batches))
    counted = max(1, round(recipe.strategy.averaged * len(batches)))
    for number, batch in enumerate(batches, 1):
        loss = torch.zeros((), device=on)
        for part in lesson.passes(batch, tokens=_TOKENS_AT_ONCE[on.type], on=on):
            with mixed_precision(on):
                logits = model(**lesson.inputs(part, on=on)).logits
            total = lesson.loss(logits, part)
            (total / len(batch)).backward()
            loss += total.detach() / len(batch)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        if number > len(batches) - counted:
            mean.take()
        yield loss


def _optimiser(
    model: Any, recipe: Recipe, *, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with linear warm-up, then linear decay to zero; no decay where weights are averaged."""
    h = recipe.hyperparameters
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=h.learning_rate, weight_decay=h.weight_decay, fused=True
    )
    warmup = max(1, int(steps * h.warmup_share))
    # The mean quietens the noise of a high rate as decay would, and over more of the way.
    decay = 0.0 if recipe.strategy.averaged else 1.0

    def factor(step: int) -> float:
        left = max(0.0, (steps - step) / max(1, steps - warmup))
        return min((step + 1) / warmup, 1.0, left**decay)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def _all_epochs(lengths: Sequence[int], h: Hyperparameters, *, order: int) -> list[list[int]]:
    # Far apart, so that no other seed's first order is one of this seed's.
    rng = Random(h.seed + order * 1_000_003)
    return [
        batch
        for _ in range(h.epochs)
        for batch in training_batches(lengths, size=h.batch_size, rng=rng)
    ]


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
