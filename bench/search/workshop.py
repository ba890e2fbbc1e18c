"""Where models are trained and asked, in this process, by the code that Ray jobs run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import content_digest, derive_id
from shared.domain.pipeline import Recipe
from shared.domain.tasks import Task
from shared.job_specs import CandidateSpec, FailedCandidate, TrainedCandidate, TrainSpec
from shared.ports import ArtifactStore

Vectors = npt.NDArray[np.float32]
Outcome = TrainedCandidate | FailedCandidate

_KEPT = TypeAdapter(list[TrainedCandidate])


class Workshop(Protocol):
    """All that takes time; the rest of the bench is pure, but for ``artifacts``."""

    @property
    def artifacts(self) -> ArtifactStore: ...

    def train(
        self,
        task: Task,
        training_set: ArtifactRef,
        recipes: Sequence[Recipe],
        parent: ArtifactRef | None,
    ) -> list[Outcome]:
        """One outcome for each recipe; recipes that differ in their blend share a training."""
        ...

    def answers(self, adapter: ArtifactRef, texts: Sequence[str]) -> list[str]:
        """The model's label for each text."""
        ...

    def read(self, adapter: ArtifactRef, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        """(vectors [texts, d], rows L2-normalised, probabilities [texts, labels])."""
        ...


class LocalWorkshop:
    """Trains on one core. Every training is kept below ``folder`` under what it was made from.

    So a run that was cut off does not train twice, and strategies share what they have in common.
    """

    def __init__(self, folder: Path) -> None:
        self.artifacts = FsspecArtifacts(str(folder))

    def train(
        self,
        task: Task,
        training_set: ArtifactRef,
        recipes: Sequence[Recipe],
        parent: ArtifactRef | None,
    ) -> list[Outcome]:
        forms: dict[Recipe, list[Recipe]] = {}
        for recipe in dict.fromkeys(recipes):
            forms.setdefault(recipe.training, []).append(recipe)
        made = [
            outcome
            for together in forms.values()
            for outcome in self._trained(task, training_set, together, parent)
        ]
        found = {outcome.recipe: outcome for outcome in made}
        return [found[recipe] for recipe in recipes]

    def answers(self, adapter: ArtifactRef, texts: Sequence[str]) -> list[str]:
        from shared.jobs.predict import Predictor

        predictor = Predictor.load(self.artifacts, adapter)
        return [prediction.output for prediction in predictor.predict(texts)]

    def read(self, adapter: ArtifactRef, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        from shared.jobs.embed import load_deployed, read_texts

        deployed = load_deployed(self.artifacts, adapter)
        vectors, probabilities = read_texts(list(texts), base=None, deployed=deployed)
        return vectors.astype(np.float32), probabilities.astype(np.float32)

    def _trained(
        self,
        task: Task,
        training_set: ArtifactRef,
        recipes: Sequence[Recipe],
        parent: ArtifactRef | None,
    ) -> list[Outcome]:
        from shared.jobs.train import train_together

        specs = [CandidateSpec(id=derive_id("search", r.digest), recipe=r) for r in recipes]
        spec = TrainSpec(
            task=task, training_set=training_set, parent=parent, candidates=tuple(specs)
        )
        told = [training_set.sha256, parent and parent.sha256, list(task.labels)]
        key = content_digest([*told, [recipe.digest for recipe in recipes]])
        state = f"search/{key}.json"
        if kept := self.artifacts.read_state(state):
            return list(_KEPT.validate_json(kept))
        found = train_together(spec, specs, f"search-{key[:16]}", self.artifacts.uri, threads=1)
        done = [one for one in found if isinstance(one, TrainedCandidate)]
        if len(done) == len(found):
            told = [json.loads(one.model_dump_json()) for one in done]
            self.artifacts.write_state(state, json.dumps(told).encode())
        return list(found)
