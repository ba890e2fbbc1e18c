"""Training of all candidates of a job, in parallel: one Ray task for each distinct training."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.answer_form import Scorer
from shared.errors import DEFECTS, BadInput, PermanentError
from shared.job_specs import (
    CandidateSpec,
    FailedCandidate,
    TrainedCandidate,
    TrainResult,
    TrainSpec,
)
from shared.ports import ArtifactStore

if TYPE_CHECKING:
    from shared.jobs.fit import Fitted

Outcome = TrainedCandidate | FailedCandidate


def run_train(spec: TrainSpec, job_id: str, artifacts_uri: str) -> TrainResult:
    """Train every candidate; one that fails does not stop the others. Needs a Ray cluster."""
    import ray
    from ray.exceptions import OutOfMemoryError, WorkerCrashedError

    _check_scoring(spec)
    # Addressed by RAY_ADDRESS, which Ray sets for its jobs.
    ray.init(log_to_driver=False, logging_level=logging.ERROR)
    trainings = _trainings(spec.candidates)
    cpus, gpus = _shares(ray.nodes(), len(trainings))
    remote = cast("Callable[..., Any]", ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=1))
    task = remote(train_together)
    waiting = {
        task.remote(spec, candidates, job_id, artifacts_uri, threads=cpus): candidates
        for candidates in trainings
    }
    outcomes: dict[str, Outcome] = {}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        candidates = waiting.pop(done)
        try:
            found: Sequence[Outcome] = ray.get(done)
        except (WorkerCrashedError, OutOfMemoryError) as error:
            found = [_failed(candidate, error) for candidate in candidates]
        outcomes |= {outcome.id: outcome for outcome in found}
    ordered = [outcomes[candidate.id] for candidate in spec.candidates]
    return TrainResult(
        trained=tuple(one for one in ordered if isinstance(one, TrainedCandidate)),
        failed=tuple(one for one in ordered if isinstance(one, FailedCandidate)),
    )


def train_candidate(
    spec: TrainSpec, candidate: CandidateSpec, job_id: str, artifacts_uri: str, *, threads: int
) -> Outcome:
    """Train one candidate in this process. A TransientError passes through: the job is repeated."""
    return train_together(spec, [candidate], job_id, artifacts_uri, threads=threads)[0]


def train_together(
    spec: TrainSpec,
    candidates: Sequence[CandidateSpec],
    job_id: str,
    artifacts_uri: str,
    *,
    threads: int,
) -> list[Outcome]:
    """Train once, in this process, what differs only in how it is blended with the parent.

    A TransientError passes through: the job is repeated.
    """
    import torch

    torch.set_num_threads(threads)
    # For this process only, which trains and nothing else: tiny numbers are slow on a CPU.
    torch.set_flush_denormal(True)
    artifacts = FsspecArtifacts(artifacts_uri)
    try:
        return _trained(spec, candidates, job_id, artifacts)
    except (PermanentError, RuntimeError, MemoryError, OSError, *DEFECTS) as error:
        return [_failed(candidate, error) for candidate in candidates]


def _trained(
    spec: TrainSpec, candidates: Sequence[CandidateSpec], job_id: str, artifacts: ArtifactStore
) -> list[Outcome]:
    from shared.jobs.congruence import soft_targets
    from shared.jobs.fit import fit
    from shared.jobs.progress import ProgressFile
    from shared.jobs.rows import read_rows

    rows = read_rows(artifacts, spec.training_set, keys=("id", "text", "target"))
    # One training is one thing to watch, whatever is made of it.
    progress = ProgressFile(artifacts, job_id, candidates[0].id)
    recipe, soft = candidates[0].recipe.training, None
    if recipe.strategy.congruence:
        soft = soft_targets(artifacts, spec.parent, rows, spec.task)
    fitted = fit(rows, spec.task, recipe, report=progress, due=progress.due, soft=soft)
    return [
        _kept(spec, candidate, fitted, artifacts, seconds=0.0 if at else fitted.train_seconds)
        for at, candidate in enumerate(candidates)
    ]


def _kept(
    spec: TrainSpec,
    candidate: CandidateSpec,
    fitted: "Fitted",
    artifacts: ArtifactStore,
    *,
    seconds: float,
) -> Outcome:
    """The candidate as an artifact; ``seconds`` of training are its own."""
    from shared.jobs.blending import blended
    from shared.jobs.checkpoints import describe, save

    model, recipe = fitted.model, candidate.recipe
    if recipe.strategy.blended:
        try:
            model = blended(model, artifacts, spec.parent, share=recipe.strategy.blended)
        except BadInput as error:
            return _failed(candidate, error)
    adapter = describe(spec.task, recipe, spec.training_set)
    return TrainedCandidate(
        id=candidate.id,
        recipe=recipe,
        adapter=save(artifacts, adapter, model, fitted.tokenizer, name=candidate.id),
        final_loss=fitted.final_loss,
        train_seconds=seconds,
        examples_per_second=fitted.examples_per_second,
        warning=fitted.warning,
    )


def _check_scoring(spec: TrainSpec) -> None:
    """Raises BadSettings where what is trained could not be graded afterwards."""
    if spec.task.form is not None and spec.task.form.scorer is Scorer.PASSES:
        from shared.jobs.sandbox import run_python

        run_python("pass")


def _trainings(candidates: Sequence[CandidateSpec]) -> list[list[CandidateSpec]]:
    """Candidates that one training makes, together."""
    found: dict[str, list[CandidateSpec]] = {}
    for candidate in candidates:
        found.setdefault(candidate.recipe.training.digest, []).append(candidate)
    return list(found.values())


def _shares(nodes: list[dict[str, Any]], candidates: int) -> tuple[int, float]:
    """CPUs and GPUs of each candidate: its share of the cluster, at most one node and one GPU."""
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    cpus = [int(node.get("CPU", 0)) for node in resources]
    gpus = sum(node.get("GPU", 0) for node in resources)
    share = int(gpus / candidates * 1000) / 1000 if gpus else 0
    return max(1, min(sum(cpus) // candidates, max(cpus, default=1))), min(1.0, share)


def _failed(candidate: CandidateSpec, error: BaseException) -> FailedCandidate:
    reason = f"{type(error).__name__}: {error}"[:2000]
    return FailedCandidate(id=candidate.id, recipe=candidate.recipe, reason=reason)
