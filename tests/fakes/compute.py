"""A compute plane in memory with a small real classifier: the nearest training row answers."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.artifacts import ArtifactRef
from shared.domain.entities import Entity, SeenEntity, read_answer, write_answer
from shared.domain.rows import Row, load_rows
from shared.domain.tasks import Task, TaskKind
from shared.domain.tested_answers import taught
from shared.errors import PermanentError, TransientError
from shared.job_specs import (
    CandidateProgress,
    EmbedResult,
    EmbedSpec,
    EvaluateResult,
    EvaluateSpec,
    FailedCandidate,
    JobResult,
    JobSpec,
    MergeResult,
    MergeSpec,
    TrainedCandidate,
    TrainResult,
    TrainSpec,
)
from shared.ports import (
    ArtifactStore,
    JobFailed,
    JobLost,
    JobRunning,
    JobState,
    JobSucceeded,
)

VECTORS = HashingVectorizer(n_features=512, analyzer="char_wb", ngram_range=(2, 4))


def embed(texts: Sequence[str]) -> np.ndarray:
    """float32 [texts, 512], rows L2-normalised."""
    return VECTORS.transform(texts).toarray().astype(np.float32)


class NearestRow:
    """Answers with the label of the most similar training row."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._vectors = embed([row.text for row in rows])
        self._labels = [row.target for row in rows]

    def predict(self, texts: Sequence[str]) -> list[str]:
        return [self._labels[i] for i in (embed(texts) @ self._vectors.T).argmax(axis=1)]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """float16 [texts, labels], sure of the nearest row's label."""
        labels = sorted(set(self._labels))
        found = np.full((len(texts), len(labels)), 0.1 / len(labels), np.float16)
        for at, label in enumerate(self.predict(texts)):
            found[at, labels.index(label)] += 0.9
        return found


class Writer(NearestRow):
    """Writes the nearest row's answer, and knows no probability of a label."""


class Coder(Writer):
    """Writes the nearest row's solution in other words, which pass the tests of that solution."""

    form = AnswerForm(scorer=Scorer.PASSES, extractor=Extractor.CODE)

    @classmethod
    def written(cls, target: str) -> str:
        """What passes the tests of a target and is not its solution, sign by sign."""
        return f"{taught(target, cls.form)}  # in other words"

    def predict(self, texts: Sequence[str]) -> list[str]:
        return [self.written(target) for target in super().predict(texts)]


class KnownEntities:
    """Sees every value that a training row named, wherever a text says it.

    As sure as the share of rows saying it that named it; names what reaches the threshold.
    """

    def __init__(self, rows: Sequence[Row], threshold: float) -> None:
        self._threshold = threshold
        named: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            for entity in read_answer(row.target):
                named[row.text[entity.start : entity.end]][entity.type] += 1
        self._types = {
            value: (
                types.most_common(1)[0][0],
                types.total() / sum(value in row.text.split() for row in rows),
            )
            for value, types in named.items()
        }

    def predict(self, texts: Sequence[str]) -> list[str]:
        return [
            write_answer(
                [s.entity for s in self.seen(text) if s.probability >= self._threshold], text
            )
            for text in texts
        ]

    def seen(self, text: str) -> list[SeenEntity]:
        return [
            SeenEntity(Entity(*found.span(), of_type), sure)
            for found in re.finditer(r"\w+", text)
            for of_type, sure in [self._types.get(found.group(), ("", 0.0))]
            if sure
        ]


class InMemoryCompute:
    """Runs jobs when they are polled for the second time, so that progress can be seen."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self.jobs: dict[str, tuple[JobSpec, int]] = {}
        self.submissions: list[str] = []
        self.away = False
        # By kind of job: how the next one ends, and which one the cluster forgets.
        self.fail_next: dict[str, JobFailed] = {}
        self.forget_next: set[str] = set()
        self.corrupt_adapters = False
        # Why no candidate can be trained, and what is said of those that are.
        self.untrainable = ""
        self.warning = ""

    async def submit(self, job_id: str, spec: JobSpec) -> None:
        if self.away:
            raise TransientError("the cluster is away")
        self.submissions.append(job_id)
        self.jobs.setdefault(job_id, (spec, 0))

    async def poll(self, job_id: str) -> JobState:
        if self.away:
            raise TransientError("the cluster is away")
        if job_id not in self.jobs:
            return JobLost()
        spec, polls = self.jobs[job_id]
        if spec.kind in self.forget_next:
            self.forget_next.remove(spec.kind)
            del self.jobs[job_id]
            return JobLost()
        self.jobs[job_id] = (spec, polls + 1)
        if polls == 0:
            return JobRunning(_progress(spec))
        if spec.kind in self.fail_next:
            return self.fail_next.pop(spec.kind)
        try:
            return JobSucceeded(self._run(spec))
        except PermanentError as error:
            return JobFailed(str(error), permanent=True)

    async def stop(self, job_id: str) -> None:
        self.jobs.pop(job_id, None)

    def train(self, rows: Sequence[Row], task: Task | None = None) -> ArtifactRef:
        """An adapter that answers like these rows."""
        files = {"model.json": json.dumps([[r.id, r.text, r.target] for r in rows]).encode()}
        if task:
            runs = task.form is not None and task.form.scorer is Scorer.PASSES
            files["adapter.json"] = json.dumps({"kind": task.kind, "runs": runs}).encode()
        return self._artifacts.put_folder(files, name="adapter")

    def load(self, ref: ArtifactRef) -> NearestRow | KnownEntities:
        files = self._artifacts.get_folder(ref)
        rows = [Row(*row) for row in json.loads(files["model.json"])]
        adapter = json.loads(files.get("adapter.json", b"{}"))
        if adapter.get("kind") == TaskKind.NER:
            return KnownEntities(rows, adapter.get("threshold", 0.0))
        if adapter.get("runs"):
            return Coder(rows)
        return Writer(rows) if adapter.get("kind") == TaskKind.GENERATION else NearestRow(rows)

    def _run(self, spec: JobSpec) -> JobResult:
        match spec:
            case EmbedSpec():
                return self._embed(spec)
            case TrainSpec():
                return self._train(spec)
            case EvaluateSpec():
                return self._evaluate(spec)
            case MergeSpec():
                return self._merge(spec)

    def _embed(self, spec: EmbedSpec) -> EmbedResult:
        texts = [row.text for row in load_rows(self._artifacts.get(spec.texts), Row)]
        model = self.load(spec.adapter) if spec.adapter else None
        sure = model.probabilities(texts) if type(model) is NearestRow else None
        return EmbedResult(
            embeddings=self._put_matrix(embed(texts)),
            probabilities=None if sure is None else self._put_matrix(sure),
        )

    def _put_matrix(self, matrix: np.ndarray) -> ArtifactRef:
        buffer = BytesIO()
        np.save(buffer, matrix)
        return self._artifacts.put(buffer.getvalue(), name="matrix.npy")

    def _train(self, spec: TrainSpec) -> TrainResult:
        rows = load_rows(self._artifacts.get(spec.training_set), Row)
        if why := self.untrainable:
            failed = [
                FailedCandidate(id=c.id, recipe=c.recipe, reason=why) for c in spec.candidates
            ]
            return TrainResult(trained=(), failed=tuple(failed))
        first, *rest = spec.candidates
        adapter = self.train(rows, spec.task)
        if self.corrupt_adapters:
            weights = Path(adapter.uri.removeprefix("file://")) / "model.json"
            weights.write_bytes(weights.read_bytes().replace(b"billing", b"b1lling"))
        trained = TrainedCandidate(
            id=first.id,
            recipe=first.recipe,
            adapter=adapter,
            final_loss=0.0,
            train_seconds=0.0,
            examples_per_second=1.0,
            warning=self.warning,
        )
        failed = [FailedCandidate(id=c.id, recipe=c.recipe, reason="out of memory") for c in rest]
        return TrainResult(trained=(trained,), failed=tuple(failed))

    def _merge(self, spec: MergeSpec) -> MergeResult:
        files = self._artifacts.get_folder(spec.adapter)
        told = json.dumps(json.loads(files["adapter.json"]) | {"merged": True}).encode()
        whole = {"adapter.json": told, "model.safetensors": b"all weights"}
        return MergeResult(model=self._artifacts.put_folder(whole, name="merged"))

    def _evaluate(self, spec: EvaluateSpec) -> EvaluateResult:
        rows = {r.id: r for ref in spec.sets for r in load_rows(self._artifacts.get(ref), Row)}
        lines: list[str] = []
        broken: dict[str, str] = {}
        for model in spec.models:
            try:
                loaded = self.load(model.adapter)
                outputs = loaded.predict([r.text for r in rows.values()])
            except PermanentError as error:
                broken[model.id] = str(error)
                continue
            lines += [
                json.dumps(
                    {"model": model.id, "id": key, "output": output, "confidence": 1.0}
                    | _told_as_seen(loaded, rows[key].text)
                    | _graded(loaded, output, rows[key].target)
                )
                for key, output in zip(rows, outputs, strict=True)
            ]
        ref = self._artifacts.put("\n".join(lines).encode(), name="predictions.jsonl")
        return EvaluateResult(predictions=ref, broken=broken, inference_seconds=0.0)


def _told_as_seen(model: NearestRow | KnownEntities, text: str) -> dict[str, object]:
    if isinstance(model, NearestRow):
        return {}
    return {"seen": [asdict(s.entity) | {"probability": s.probability} for s in model.seen(text)]}


def _graded(model: object, output: str, target: str) -> dict[str, object]:
    if not isinstance(model, Coder):
        return {}
    return {"graded": {target: model.written(target) == output}}


def _progress(spec: JobSpec) -> tuple[CandidateProgress, ...]:
    if not isinstance(spec, TrainSpec):
        return ()
    return tuple(CandidateProgress(candidate=c.id, step=1, steps=2) for c in spec.candidates)
