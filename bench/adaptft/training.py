"""Trainings and predictions of the benchmark, in this process, by the code that Ray jobs run.

Every training is kept in the work folder under what it was made from, so a run that was cut off
does not train twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import content_digest, derive_id
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.errors import PermanentError
from shared.job_specs import CandidateSpec, FailedCandidate, TrainedCandidate, TrainSpec

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def recipe(seed: int) -> Recipe:
    """The one recipe of all arms."""
    h = Hyperparameters(base_model=BASE_MODEL, learning_rate=2e-4, epochs=5, batch_size=32)
    return Recipe(
        Hyperparameters(h.base_model, h.learning_rate, h.epochs, h.batch_size, seed=seed),
        Strategy(Method.FULL),
    )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained model, and the rows, recipe and training set that it was made from."""

    trained: TrainedCandidate
    rows: tuple[Row, ...]
    training_set: ArtifactRef

    @property
    def adapter(self) -> ArtifactRef:
        return self.trained.adapter


class Trainer:
    """Trains and predicts on one core. ``work`` is a local folder and the root of all artifacts."""

    def __init__(self, work: Path) -> None:
        self.artifacts = FsspecArtifacts(str(work))

    def train(self, rows: Sequence[Row], labels: Sequence[str], seed: int) -> Checkpoint:
        """A model from the base model, trained on these rows. Raises PermanentError."""
        task = Task(TaskKind.CLASSIFICATION, tuple(labels))
        training_set = self.artifacts.put(dump_rows(rows), name="training.jsonl")
        key = content_digest([training_set.sha256, recipe(seed).digest, list(labels)])
        kept = self.artifacts.read_state(f"adaptft/{key}.json")
        if kept:
            trained = TrainedCandidate.model_validate_json(kept)
        else:
            trained = self._trained(task, training_set, seed)
            self.artifacts.write_state(f"adaptft/{key}.json", trained.model_dump_json().encode())
        return Checkpoint(trained, tuple(rows), training_set)

    def predict(self, checkpoint: Checkpoint, texts: Sequence[str]) -> tuple[str, ...]:
        """The model's label for each text."""
        from shared.jobs.predict import Predictor

        predictor = Predictor.load(self.artifacts, checkpoint.adapter)
        return tuple(prediction.output for prediction in predictor.predict(texts))

    def _trained(self, task: Task, training_set: ArtifactRef, seed: int) -> TrainedCandidate:
        from shared.jobs.train import train_candidate

        job = derive_id("adaptft", training_set.sha256, recipe(seed).digest)
        candidate = CandidateSpec(id=job, recipe=recipe(seed))
        spec = TrainSpec(task=task, training_set=training_set, candidates=(candidate,))
        outcome = train_candidate(spec, candidate, job, self.artifacts.uri, threads=1)
        if isinstance(outcome, FailedCandidate):
            raise PermanentError(f"training on {training_set} failed: {outcome.reason}")
        return outcome
