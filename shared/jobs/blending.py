"""A trained model blended with the one it replaces: the mean of their weights, weighted.

Two models fine-tuned from one base lie in one basin, so the mean of their weights is a model again,
and often a better one than either (Wortsman et al. 2022). What the parent had right is kept more
often, at no cost when served.
"""

from copy import deepcopy
from typing import Any

import torch

from shared.domain.artifacts import ArtifactRef
from shared.errors import BadInput
from shared.jobs.checkpoints import load
from shared.ports import ArtifactStore


def blended(
    model: Any, artifacts: ArtifactStore, parent: ArtifactRef | None, *, share: float
) -> Any:
    """A copy of ``model`` whose weights are the parent's to ``share``, 0 to 1.

    Raises BadInput without a parent, or when its labels or the shapes of its weights are others.
    """
    if parent is None:
        raise BadInput(
            "a blend is asked for, but the job names no parent: give the deployed adapter"
        )
    other: Any = load(artifacts, parent).model.to(model.device)
    if other.config.id2label != model.config.id2label:
        raise BadInput(f"parent {parent}: answers with other labels, its weights do not blend")
    mixed, theirs = deepcopy(model), other.state_dict()
    with torch.no_grad():
        for name, weights in mixed.state_dict().items():
            found = theirs.get(name)
            if found is None or found.shape != weights.shape:
                raise BadInput(f"parent {parent}: has no weights like {name}, train without blend")
            if weights.is_floating_point():
                weights.lerp_(found.to(weights.dtype), share)
    return mixed
