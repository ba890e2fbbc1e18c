"""Jobs over Ray's REST API: repeats are harmless, absence is told from failure."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.ray_compute import RayCompute
from shared.domain.artifacts import ArtifactRef
from shared.errors import BadInput, TransientError
from shared.job_specs import CandidateProgress, EmbedResult, EmbedSpec
from shared.ports import JobFailed, JobLost, JobPending, JobRunning, JobSucceeded

REF = ArtifactRef("file:///a/b", "0" * 64)
SPEC = EmbedSpec(base_model="base", texts=REF)
RESULT = EmbedResult(embeddings=REF)
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def store(tmp_path: Path) -> FsspecArtifacts:
    return FsspecArtifacts(str(tmp_path))


def compute(store: FsspecArtifacts, answer: Answer) -> RayCompute:
    return RayCompute(
        "http://ray:8265",
        store,
        artifacts_uri=store.uri,
        token="secret",
        transport=httpx.MockTransport(answer),
    )


def status(name: str) -> Answer:
    return lambda _: httpx.Response(200, json={"status": name, "message": "exit code 1"})


async def test_submit_writes_the_spec_and_asks_with_the_token(store: FsspecArtifacts) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"submission_id": "job-1"})

    await compute(store, answer).submit("job-1", SPEC)
    body = json.loads(asked[0].content)
    assert asked[0].headers["authorization"] == "Bearer secret"
    assert body["submission_id"] == "job-1"
    assert body["entrypoint"] == "python -m shared.jobs job-1"
    assert body["runtime_env"]["env_vars"]["ARTIFACTS_URI"] == store.uri
    assert EmbedSpec.model_validate_json(store.read_state("jobs/job-1/spec.json") or b"") == SPEC


@pytest.mark.parametrize("code", [400, 500])
async def test_a_second_submit_is_harmless(store: FsspecArtifacts, code: int) -> None:
    text = "ValueError: Job with submission_id job-1 already exists. Please use a different one."
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(code, text=text)

    await compute(store, answer).submit("job-1", SPEC)
    assert asked == ["POST"]


async def test_a_job_that_has_a_result_is_not_submitted(store: FsspecArtifacts) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise AssertionError("Ray was asked")

    store.write_state("jobs/job-1/result.json", RESULT.model_dump_json().encode())
    await compute(store, answer).submit("job-1", SPEC)
    assert await compute(store, answer).poll("job-1") == JobSucceeded(RESULT)


async def test_a_refused_submission_is_bad_input(store: FsspecArtifacts) -> None:
    with pytest.raises(BadInput, match="runtime_env"):
        await compute(store, lambda _: httpx.Response(400, text="bad runtime_env")).submit(
            "job-1", SPEC
        )


@pytest.mark.parametrize("code", [401, 403, 404, 500, 503])
async def test_other_refusals_may_pass(store: FsspecArtifacts, code: int) -> None:
    with pytest.raises(TransientError, match=str(code)):
        await compute(store, lambda _: httpx.Response(code, text="later")).submit("job-1", SPEC)


async def test_an_absent_cluster_is_transient(store: FsspecArtifacts) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    ray = compute(store, answer)
    for call in (ray.submit("job-1", SPEC), ray.poll("job-1"), ray.stop("job-1")):
        with pytest.raises(TransientError, match="RAY_ADDRESS"):
            await call


async def test_an_unknown_job_is_lost(store: FsspecArtifacts) -> None:
    ray = compute(store, lambda _: httpx.Response(404, text="Job job-1 does not exist"))
    assert await ray.poll("job-1") == JobLost()
    await ray.stop("job-1")


async def test_a_running_job_tells_its_progress(store: FsspecArtifacts) -> None:
    progress = CandidateProgress(candidate="a", step=3, steps=9, loss=0.5)
    store.write_state("jobs/job-1/progress/a.json", progress.model_dump_json().encode())
    assert await compute(store, status("PENDING")).poll("job-1") == JobPending()
    assert await compute(store, status("RUNNING")).poll("job-1") == JobRunning((progress,))


async def test_a_permanent_error_is_told_from_a_crash(store: FsspecArtifacts) -> None:
    ray = compute(store, status("FAILED"))
    crashed = await ray.poll("job-1")
    assert isinstance(crashed, JobFailed)
    assert not crashed.permanent
    error = {"reason": "BadInput: no rows", "permanent": True}
    store.write_state("jobs/job-1/error.json", json.dumps(error).encode())
    assert await ray.poll("job-1") == JobFailed("BadInput: no rows", permanent=True)


async def test_success_without_a_result_is_a_failure(store: FsspecArtifacts) -> None:
    state = await compute(store, status("SUCCEEDED")).poll("job-1")
    assert isinstance(state, JobFailed)


async def test_a_result_written_while_ray_is_asked_is_seen(store: FsspecArtifacts) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        store.write_state("jobs/job-1/result.json", RESULT.model_dump_json().encode())
        return httpx.Response(200, json={"status": "SUCCEEDED"})

    assert await compute(store, answer).poll("job-1") == JobSucceeded(RESULT)
