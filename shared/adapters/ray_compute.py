"""The Compute port over the Jobs REST API of Ray, so that a service need not import Ray.

Ray only starts and stops ``python -m shared.jobs``. What a job is to do, how far it is and what
came of it lie in the ArtifactStore below ``state/jobs/<id>/``, and outlive the cluster.
"""

import asyncio
import json
import os
import shlex
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import httpx

from shared.errors import BadInput, TransientError
from shared.job_specs import JOB_RESULT, JOB_SPEC, CandidateProgress, JobSpec
from shared.ports import (
    ArtifactStore,
    JobFailed,
    JobLost,
    JobPending,
    JobRunning,
    JobState,
    JobSucceeded,
)

# Credentials are not among them: the dashboard shows the environment of every job.
FORWARDED = ("HF_HUB_OFFLINE", "HF_HOME", "HF_ENDPOINT")


class RayCompute:
    """Implements ``Compute``. ``artifacts_uri`` must mean the same place on every Ray node.

    ``entrypoint_python`` is found on the PATH of the head; ``num_cpus`` and ``num_gpus`` are what
    an embedding or evaluation job reserves (training reserves inside, a task for each candidate).
    """

    def __init__(
        self,
        address: str,
        artifacts: ArtifactStore,
        *,
        artifacts_uri: str,
        token: str | None = None,
        entrypoint_python: str = "python",
        num_cpus: float = 1,
        num_gpus: float = 0,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = 30,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._artifacts = artifacts
        self._python = entrypoint_python
        self._num_cpus = num_cpus
        self._num_gpus = num_gpus
        self._env = {name: os.environ[name] for name in FORWARDED if name in os.environ}
        self._env |= {"ARTIFACTS_URI": artifacts_uri, **(env or {})}
        self._http = httpx.AsyncClient(
            base_url=address.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_seconds,
            transport=transport,
            # Plain HTTP: a proxy named in the environment must not see the token.
            trust_env=address.startswith("https://"),
        )

    async def aclose(self) -> None:
        """Close the connections; jobs go on."""
        await self._http.aclose()

    async def submit(self, job_id: str, spec: JobSpec) -> None:
        """Start the job; a second submit of the same id is a no-op. Raises TransientError."""
        folder = f"jobs/{job_id}"
        if await asyncio.to_thread(self._artifacts.read_state, f"{folder}/result.json"):
            return
        body = JOB_SPEC.dump_json(spec)
        await asyncio.to_thread(self._artifacts.write_state, f"{folder}/spec.json", body)
        answer = await self._call("POST", "/api/jobs/", json=self._submission(job_id, spec))
        # Ray 2.60 answers a duplicate with 500 around a 400; older heads with 400.
        if answer.is_success or f"{job_id} already exists" in answer.text:
            return
        if answer.status_code == 400:
            raise BadInput(f"job {job_id}: Ray refused it: {_last_line(answer.text)}")
        raise self._unexpected(answer)

    async def poll(self, job_id: str) -> JobState:
        """Where the job stands. Raises TransientError when the cluster cannot be reached."""
        # The result first: it counts even when the cluster has forgotten the job.
        if ended := await asyncio.to_thread(self._outcome, job_id):
            return ended
        answer = await self._call("GET", _path(job_id))
        if answer.status_code == 404:
            return JobLost()
        if not answer.is_success:
            raise self._unexpected(answer)
        detail: dict[str, Any] = answer.json()
        match detail.get("status"):
            case "PENDING":
                return JobPending()
            case "RUNNING":
                return JobRunning(await asyncio.to_thread(self._progress, job_id))
            case status:
                # The outcome may have been written between the two questions.
                return await asyncio.to_thread(self._outcome, job_id) or JobFailed(
                    f"job {job_id} ended as {status} without a result: {detail.get('message')}",
                    permanent=False,
                )

    async def stop(self, job_id: str) -> None:
        """End the job if it still runs; unknown ids are ignored."""
        answer = await self._call("POST", f"{_path(job_id)}/stop")
        # 400: the id is known to Ray, but not as a job that can be stopped.
        if not answer.is_success and answer.status_code not in (400, 404):
            raise self._unexpected(answer)

    def _submission(self, job_id: str, spec: JobSpec) -> dict[str, Any]:
        trains = spec.kind == "train"
        return {
            "submission_id": job_id,
            "entrypoint": f"{shlex.quote(self._python)} -m shared.jobs {shlex.quote(job_id)}",
            "entrypoint_num_cpus": 0 if trains else self._num_cpus,
            "entrypoint_num_gpus": 0 if trains else self._num_gpus,
            "runtime_env": {"env_vars": self._env},
        }

    async def _call(
        self, method: Literal["GET", "POST"], path: str, *, json: dict[str, Any] | None = None
    ) -> httpx.Response:
        """Ray's answer. Raises TransientError when there is none, or when the token is refused."""
        try:
            answer = await self._http.request(method, path, json=json)
        except httpx.TransportError as error:
            raise TransientError(
                f"Ray at {self._http.base_url}: {type(error).__name__} {error}; check RAY_ADDRESS"
            ) from error
        if answer.status_code in (401, 403):
            raise TransientError(
                f"Ray at {self._http.base_url} refused the token ({answer.status_code}): "
                "give the cluster and this service the same token file"
            )
        return answer

    def _unexpected(self, answer: httpx.Response) -> TransientError:
        reason = f"{answer.status_code} {_last_line(answer.text)}"
        return TransientError(f"Ray at {self._http.base_url}: {reason}")

    def _outcome(self, job_id: str) -> JobSucceeded | JobFailed | None:
        if (result := self._artifacts.read_state(f"jobs/{job_id}/result.json")) is not None:
            return JobSucceeded(JOB_RESULT.validate_json(result))
        if (error := self._artifacts.read_state(f"jobs/{job_id}/error.json")) is not None:
            return JobFailed(**json.loads(error))
        return None

    def _progress(self, job_id: str) -> tuple[CandidateProgress, ...]:
        paths = self._artifacts.list_state(f"jobs/{job_id}/progress")
        found = (self._artifacts.read_state(path) for path in paths)
        return tuple(CandidateProgress.model_validate_json(data) for data in found if data)


def _path(job_id: str) -> str:
    return f"/api/jobs/{quote(job_id, safe='')}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else ""
