"""Trainings and predictions of the benchmark, in this process, by the code that Ray jobs run.

Every training is kept in the work folder under what it was made from, so a run that was cut off
does not train twice.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import content_digest, derive_id
from shared.domain.pipeline import Recipe
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Head, Task, TaskKind
from shared.errors import BadInput, PermanentError
from shared.job_specs import CandidateSpec, FailedCandidate, TrainedCandidate, TrainSpec
from shared.tasks import behaviour

CPU, CUDA = "cpu", "cuda"


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
    """Trains and predicts on one core, or on the GPU that this process sees.

    ``work`` is a local folder and the root of all artifacts.
    """

    def __init__(self, work: Path, device: str = CPU) -> None:
        self.artifacts = FsspecArtifacts(str(work))
        self._device = device

    def train(self, rows: Sequence[Row], task: Task, recipe: Recipe) -> Checkpoint:
        """A model from the base model, trained on these rows. Raises PermanentError.

        Rows whose answer is longer than the task lets a model write are left out.
        """
        if behaviour(task).head is Head.NEXT:
            rows = _short_enough(rows, task, recipe)
        training_set = self.artifacts.put(dump_rows(rows), name="training.jsonl")
        key = content_digest([training_set.sha256, recipe.digest, *self._told(task)])
        kept = self.artifacts.read_state(f"adaptft/{key}.json")
        if kept:
            trained = TrainedCandidate.model_validate_json(kept)
        else:
            trained = self._trained(task, training_set, recipe)
            self.artifacts.write_state(f"adaptft/{key}.json", trained.model_dump_json().encode())
        return Checkpoint(trained, tuple(rows), training_set)

    def predict(self, checkpoint: Checkpoint, texts: Sequence[str]) -> tuple[str, ...]:
        """The model's answer to each text."""
        from shared.jobs.predict import Predictor

        predictor = Predictor.load(self.artifacts, checkpoint.adapter)
        return tuple(prediction.output for prediction in predictor.predict(texts))

    def _told(self, task: Task) -> list[Any]:
        """What else decides a training."""
        told: list[Any] = [list(task.labels)]
        if task.kind is not TaskKind.CLASSIFICATION:
            told.append(asdict(task))
        return told if self._device == CPU else [*told, self._device]

    def _trained(self, task: Task, training_set: ArtifactRef, recipe: Recipe) -> TrainedCandidate:
        from shared.jobs.train import train_candidate

        job = derive_id("adaptft", training_set.sha256, recipe.digest)
        candidate = CandidateSpec(id=job, recipe=recipe)
        spec = TrainSpec(task=task, training_set=training_set, candidates=(candidate,))
        outcome = train_candidate(spec, candidate, job, self.artifacts.uri, threads=1)
        if isinstance(outcome, FailedCandidate):
            raise PermanentError(f"training on {training_set} failed: {outcome.reason}")
        return outcome


def _short_enough(rows: Sequence[Row], task: Task, recipe: Recipe) -> list[Row]:
    from shared.domain.answer_form import AnswerForm
    from shared.jobs.base_models import base_folder
    from shared.jobs.chats import open_chat
    from shared.jobs.classifiers import load_tokenizer

    h = recipe.hyperparameters
    chat = open_chat(
        load_tokenizer(base_folder(h.base_model)),
        task.form or AnswerForm(),
        system_prompt=h.system_prompt,
        max_tokens=h.max_tokens,
    )

    def fits(row: Row) -> bool:
        try:
            return bool(chat.answer(row.target))
        except BadInput:
            return False

    return [row for row in rows if fits(row)]
