"""Training of all candidates of a job, in parallel: one Ray task for each."""

import logging
from collections.abc import Callable
from typing import Any, cast

from shared.adapters.artifacts import FsspecArtifacts
from shared.errors import PermanentError
from shared.job_specs import (
    CandidateSpec,
    FailedCandidate,
    TrainedCandidate,
    TrainResult,
    TrainSpec,
)
from shared.ports import ArtifactStore

Outcome = TrainedCandidate | FailedCandidate


def run_train(spec: TrainSpec, job_id: str, artifacts_uri: str) -> TrainResult:
    """Train every candidate; one that fails does not stop the others. Needs a Ray cluster."""
    import ray
    from ray.exceptions import OutOfMemoryError, WorkerCrashedError

    # Addressed by RAY_ADDRESS, which Ray sets for its jobs.
    ray.init(log_to_driver=False, logging_level=logging.ERROR)
    cpus, gpus = _shares(ray.nodes(), len(spec.candidates))
    remote = cast("Callable[..., Any]", ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=1))
    task = remote(train_candidate)
    waiting = {
        task.remote(spec, candidate, job_id, artifacts_uri, threads=cpus): candidate
        for candidate in spec.candidates
    }
    outcomes: dict[str, Outcome] = {}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        candidate = waiting.pop(done)
        try:
            outcomes[candidate.id] = ray.get(done)
        except (WorkerCrashedError, OutOfMemoryError) as error:
            outcomes[candidate.id] = _failed(candidate, error)
    found = [outcomes[candidate.id] for candidate in spec.candidates]
    return TrainResult(
        trained=tuple(one for one in found if isinstance(one, TrainedCandidate)),
        failed=tuple(one for one in found if isinstance(one, FailedCandidate)),
    )


def train_candidate(
    spec: TrainSpec, candidate: CandidateSpec, job_id: str, artifacts_uri: str, *, threads: int
) -> Outcome:
    """Train one candidate in this process. A TransientError passes through: the job is repeated."""
    import torch

    torch.set_num_threads(threads)
    # For this process only, which trains and nothing else: tiny numbers are slow on a CPU.
    torch.set_flush_denormal(True)
    artifacts = FsspecArtifacts(artifacts_uri)
    try:
        return _trained(spec, candidate, job_id, artifacts)
    except (PermanentError, RuntimeError, MemoryError, OSError, ValueError) as error:
        return _failed(candidate, error)


def _trained(
    spec: TrainSpec, candidate: CandidateSpec, job_id: str, artifacts: ArtifactStore
) -> TrainedCandidate:
    from shared.jobs.checkpoints import describe, save
    from shared.jobs.congruence import soft_targets
    from shared.jobs.fit import fit
    from shared.jobs.progress import ProgressFile
    from shared.jobs.rows import read_rows

    rows = read_rows(artifacts, spec.training_set, keys=("id", "text", "target"))
    progress = ProgressFile(artifacts, job_id, candidate.id)
    recipe, soft = candidate.recipe, None
    if recipe.strategy.congruence:
        soft = soft_targets(artifacts, spec.parent, rows, spec.task)
    fitted = fit(rows, spec.task, recipe, report=progress, due=progress.due, soft=soft)
    adapter = describe(spec.task, recipe, spec.training_set)
    return TrainedCandidate(
        id=candidate.id,
        recipe=recipe,
        adapter=save(artifacts, adapter, fitted.model, fitted.tokenizer, name=candidate.id),
        final_loss=fitted.final_loss,
        train_seconds=fitted.train_seconds,
        examples_per_second=fitted.examples_per_second,
    )


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
