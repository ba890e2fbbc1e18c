"""Keep what the parent has right: its answers as soft targets, and weights that are averaged.

A model that is trained anew breaks rows which its parent had right, although it is better in all.
Two causes are met here. The parent's probabilities, on the rows that it answers right, hold the
new model to it (focal distillation of positive-congruent training, Yan et al. 2021). What only the
last batches or the order of the rows decided is averaged out over the weights.
"""

from collections.abc import Sequence
from typing import Any

import torch

from shared.domain.artifacts import ArtifactRef
from shared.domain.bio import bio_tags, entities_of
from shared.domain.entities import read_answer
from shared.domain.tasks import Head, Task
from shared.errors import BadInput
from shared.jobs.classifiers import head_classes
from shared.jobs.embed import Encoder, load_deployed, read_texts
from shared.jobs.rows import Row
from shared.jobs.words import word_probabilities, words_of
from shared.ports import ArtifactStore
from shared.tasks import behaviour


def soft_targets(
    artifacts: ArtifactStore, parent: ArtifactRef | None, rows: Sequence[Row], task: Task
) -> torch.Tensor | list[torch.Tensor]:
    """The parent's probabilities, zeros where its answer is not the target.

    Float32 [rows, labels]; for a task of words [words, tags] of each row.

    Raises BadInput without a parent, or when the parent answers with other labels.
    """
    if parent is None:
        raise BadInput(
            "soft targets are asked for, but the job names no parent: give the deployed adapter"
        )
    if behaviour(task).head is Head.NEXT:
        raise BadInput("a model that writes has no soft targets: train without congruence")
    deployed = load_deployed(artifacts, parent)
    known = list(deployed.model.config.id2label.values())
    if known != list(head_classes(task)):
        raise BadInput(
            f"parent {parent}: answers with {len(known)} other or otherwise ordered labels than "
            "the task has: train without congruence"
        )
    if behaviour(task).head is Head.WORDS:
        return _of_words(deployed, rows, task)
    _, found = read_texts([row.text for row in rows], base=None, deployed=deployed)
    probabilities = torch.from_numpy(found).float()
    answers = [known[at] for at in probabilities.argmax(1).tolist()]
    right = [answer == row.target for answer, row in zip(answers, rows, strict=True)]
    return probabilities * torch.tensor(right).unsqueeze(1)


def _of_words(deployed: Encoder, rows: Sequence[Row], task: Task) -> list[torch.Tensor]:
    """The parent names an entity here whatever its threshold: it is its words that are kept."""
    found = word_probabilities(
        deployed.model,
        deployed.tokenizer,
        [row.text for row in rows],
        task=task,
        max_tokens=deployed.max_tokens,
    )
    tags = bio_tags(task.labels)
    for row, words in zip(rows, found, strict=True):
        entities = entities_of([tags[at] for at in words.argmax(-1).tolist()], words_of(row.text))
        if entities != read_answer(str(row.target)):
            words.zero_()
    return found


def loss_sum(
    logits: torch.Tensor, targets: torch.Tensor, soft: torch.Tensor | None, *, weight: float
) -> torch.Tensor:
    """Cross entropy with the targets, and ``weight`` times that with the soft ones; summed."""
    logits = logits.float()
    hard = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    if soft is None:
        return hard
    return hard - weight * (soft * logits.log_softmax(-1)).sum()


class MeanWeights:
    """The mean of a model's trained weights over the moments that were taken."""

    def __init__(self, model: Any) -> None:
        self._trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._start = {name: p.detach().clone() for name, p in self._trained.items()}
        self._mean = {name: torch.zeros_like(p) for name, p in self._start.items()}
        self._count = 0

    def restart(self) -> None:
        """Put the model back to where it stood when this was made."""
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(self._start[name])

    def take(self) -> None:
        """Count the weights as they are now."""
        self._count += 1
        with torch.no_grad():
            for name, parameter in self._trained.items():
                self._mean[name].lerp_(parameter, 1 / self._count)

    def settle(self) -> None:
        """Give the model the mean."""
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(self._mean[name])
