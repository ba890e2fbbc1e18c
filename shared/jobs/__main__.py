"""``python -m shared.jobs JOB_ID``: run one job; ARTIFACTS_URI says where its spec lies."""

import json
import logging
import os
import sys
import time

from pydantic import ValidationError

from shared.adapters.artifacts import FsspecArtifacts
from shared.errors import DEFECTS, BadInput, BadSettings, PermanentError, PioneerError
from shared.job_specs import JOB_RESULT, JOB_SPEC, JobResult, JobSpec

_log = logging.getLogger("shared.jobs")


def main(job_id: str) -> int:
    """Run the job once: a job that has a result is not run again. Returns the exit status."""
    artifacts_uri = os.environ.get("ARTIFACTS_URI")
    if not artifacts_uri:
        raise BadSettings("ARTIFACTS_URI is not set: name the root of the artifact store")
    artifacts = FsspecArtifacts(artifacts_uri)
    if artifacts.read_state(f"jobs/{job_id}/result.json") is not None:
        return 0
    start = time.perf_counter()
    try:
        result = _run(_spec(job_id, artifacts), job_id, artifacts)
    except (PioneerError, RuntimeError, MemoryError, OSError, *DEFECTS) as error:
        # Without a reason on file nobody could say why; what is not permanent is tried again.
        failure = {
            "reason": f"{type(error).__name__}: {error}",
            "permanent": isinstance(error, PermanentError),
        }
        artifacts.write_state(f"jobs/{job_id}/error.json", json.dumps(failure).encode())
        _log.exception("job %s failed", job_id)
        return 1
    artifacts.write_state(f"jobs/{job_id}/result.json", JOB_RESULT.dump_json(result))
    _log.info("job %s done in %.2f s", job_id, time.perf_counter() - start)
    return 0


def _spec(job_id: str, artifacts: FsspecArtifacts) -> JobSpec:
    data = artifacts.read_state(f"jobs/{job_id}/spec.json")
    if data is None:
        raise BadInput(f"job {job_id}: has no spec.json in {artifacts.uri}")
    try:
        return JOB_SPEC.validate_json(data)
    except ValidationError as error:
        raise BadInput(f"job {job_id}: its spec.json does not fit: {error}") from error


def _run(spec: JobSpec, job_id: str, artifacts: FsspecArtifacts) -> JobResult:
    if spec.kind == "train":
        # Only its tasks import torch: the driver just waits for them.
        from shared.jobs.train import run_train

        return run_train(spec, job_id, artifacts.uri)

    from shared.jobs.devices import use_all_cpus

    use_all_cpus()
    if spec.kind == "embed":
        from shared.jobs.embed import run_embed

        return run_embed(spec, artifacts)
    if spec.kind == "merge":
        from shared.jobs.merging import run_merge

        return run_merge(spec, artifacts)
    from shared.jobs.evaluate import run_evaluate

    return run_evaluate(spec, artifacts)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    if len(sys.argv) != 2:
        sys.exit("usage: python -m shared.jobs JOB_ID")
    sys.exit(main(sys.argv[1]))
