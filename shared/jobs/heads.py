"""Where a new head starts: at what its classes look like, not at random.

Sentence encoders leave BERT's pooler as pre-training left it, and a random head first has to undo
it. An open pooler and a head at the class means make a few epochs do the work of many, while the
model stays a standard ``BertForSequenceClassification``. Tags of words are seldom and much alike:
their head starts at the linear discriminant, which also knows how seldom they are.
"""

from collections.abc import Sequence
from typing import Any

import torch

from shared.jobs.batches import inference_batches
from shared.jobs.classifiers import padded
from shared.jobs.devices import mixed_precision
from shared.jobs.words import Window

# Enough for a mean; bounds the cost on large training sets.
_ROWS_OF_A_LABEL = 16
# Of windows for a discriminant, and how far its covariance is drawn to a sphere.
_WINDOWS = 512
_SHRINKAGE = 0.2
# Logits some units apart: confident where the classes are, still far from saturated.
_SHARPNESS = 10.0


def has_pooler(model: Any) -> bool:
    """Whether the model classifies with one linear layer over a square, BERT-like pooler."""
    dense = getattr(getattr(model.base_model, "pooler", None), "dense", None)
    if not isinstance(dense, torch.nn.Linear) or not isinstance(model.classifier, torch.nn.Linear):
        return False
    return dense.in_features == dense.out_features


@torch.no_grad()
def start_at_class_means(
    model: Any, ids: Sequence[list[int]], targets: Sequence[int], *, pad: int
) -> None:
    """Open the pooler (identity) and point each label's weights at the mean of its rows."""
    dense = model.base_model.pooler.dense
    torch.nn.init.eye_(dense.weight)
    torch.nn.init.zeros_(dense.bias)
    chosen = _some_of_each(targets)
    pooled = _pooled(model, [ids[i] for i in chosen], pad=pad)
    labels = torch.tensor([targets[i] for i in chosen], device=pooled.device)
    centred = pooled - pooled.mean(0)
    means = torch.zeros(model.config.num_labels, pooled.shape[1], device=pooled.device)
    means.index_add_(0, labels, centred)
    # A label without rows keeps a zero direction; the length of a sum does not matter here.
    directions = torch.nn.functional.normalize(means, dim=1)
    weight = directions * (_SHARPNESS / centred.norm(dim=1).mean())
    model.classifier.weight.copy_(weight)
    model.classifier.bias.copy_(-weight @ pooled.mean(0))


def start_at_discriminant(
    model: Any, parts: Sequence[Window], targets: Sequence[torch.Tensor], *, pad: int
) -> None:
    """Make a head over words the linear discriminant of these words and their tags.

    A model whose head is not one linear layer over its hidden states is left as it is.
    """
    head = getattr(model, "classifier", None)
    if not isinstance(head, torch.nn.Linear) or head.in_features != model.config.hidden_size:
        return
    chosen = range(0, len(parts), max(1, len(parts) // _WINDOWS))
    words = _word_states(model, [parts[i] for i in chosen], pad=pad)
    tags = torch.cat([targets[i] for i in chosen])
    count = torch.bincount(tags, minlength=head.out_features).float()
    means = torch.zeros(head.out_features, words.shape[1], device=words.device)
    means.index_add_(0, tags, words)
    # A tag without words stands at the mean of all: no direction is its own.
    means = torch.where(
        count[:, None] > 0, means / count.clamp(min=1)[:, None], words.mean(0, keepdim=True)
    )
    within = words - means[tags]
    covariance = within.T @ within / len(words)
    sphere = covariance.diagonal().mean() * torch.eye(len(covariance), device=words.device)
    mixed = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * sphere
    weight = torch.linalg.solve(mixed, means.T).T
    with torch.no_grad():
        head.weight.copy_(weight)
        prior = ((count + 1) / (count + 1).sum()).log()
        head.bias.copy_(prior - (weight * means).sum(1) / 2)


@torch.no_grad()
def _word_states(model: Any, parts: Sequence[Window], *, pad: int) -> torch.Tensor:
    """The last hidden states of the words of these windows, float32 [words, hidden], in order."""
    model.eval()
    found: list[torch.Tensor] = [torch.empty(0)] * len(parts)
    for batch in inference_batches([len(part.ids) for part in parts], tokens=2048, rows=256):
        inputs = padded([parts[i].ids for i in batch], pad=pad, on=model.device)
        with mixed_precision(model.device):
            hidden = model.base_model(**inputs).last_hidden_state.float()
        for at, index in enumerate(batch):
            found[index] = hidden[at, parts[index].heads]
    return torch.cat(found)


def _some_of_each(targets: Sequence[int]) -> list[int]:
    seen: dict[int, int] = {}
    chosen: list[int] = []
    for index, target in enumerate(targets):
        seen[target] = seen.get(target, 0) + 1
        if seen[target] <= _ROWS_OF_A_LABEL:
            chosen.append(index)
    return chosen


def _pooled(model: Any, ids: Sequence[list[int]], *, pad: int) -> torch.Tensor:
    model.eval()
    pooled = torch.zeros(len(ids), model.config.hidden_size, device=model.device)
    for rows in inference_batches([len(row) for row in ids], tokens=2048, rows=256):
        batch = padded([ids[i] for i in rows], pad=pad, on=model.device)
        with mixed_precision(model.device):
            pooled[rows] = model.base_model(**batch).pooler_output.float()
    return pooled
