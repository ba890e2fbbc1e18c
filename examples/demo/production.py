"""Production in small: the stack, the services, a serving example, and a first model in it."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.demo.follow import Follower
from examples.demo.report import Stopwatch
from examples.demo.screen import Screen
from examples.demo.serving import ServingClient
from examples.demo.workload import Workload
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import publishing
from shared.adapters.ray_compute import RayCompute
from shared.data_sets import check_training, placed
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task
from shared.errors import PermanentError
from shared.events import (
    CandidatesVerified,
    CandidateVerdict,
    Event,
    ModelPromoted,
    ModelRegistered,
    RunClosed,
)
from shared.job_specs import CandidateSpec, TrainedCandidate, TrainResult, TrainSpec
from shared.local import LocalStack, ray_token
from shared.local.services import ServiceProcesses, service_environment
from shared.ports import JobFailed, JobSucceeded
from shared.settings import ServiceSettings

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# The first model: few rows, so that it leaves something to learn.
SEED_RECIPE = Recipe(
    Hyperparameters(base_model=BASE_MODEL, learning_rate=2e-4, epochs=8, batch_size=16),
    Strategy(Method.FULL),
)
# What a platform team would set: diagnose soon, end a run after two iterations.
RUN_SETTINGS = {
    "PIONEER_MIN_FAILURES": "20",
    "PIONEER_QUIET_SECONDS": "1.5",
    "PIONEER_MAX_ITERATIONS": "2",
    "PIONEER_POLL_SECONDS": "0.5",
}


@dataclass(frozen=True, slots=True)
class Production:
    """What runs: the addresses, the serving example, and the first model's artifacts."""

    variables: dict[str, str]
    serving: ServingClient
    artifacts: FsspecArtifacts
    compute: RayCompute

    @property
    def settings(self) -> ServiceSettings:
        return ServiceSettings.model_validate(self.variables)


@asynccontextmanager
async def production(
    home: Path,
    model: str,
    screen: Screen,
    watch: Stopwatch,
    settings: Mapping[str, str] = RUN_SETTINGS,
) -> AsyncGenerator[Production]:
    """Everything that runs; all of it has ended when this returns."""
    stack = LocalStack(home)
    with watch.stage("start"), screen.step("start broker, database and Ray"):
        endpoints = await stack.__aenter__()
    try:
        variables = service_environment(stack, endpoints) | dict(settings)
        services = ServiceProcesses(stack, variables)
        with watch.stage("start"), screen.step("start the five services"):
            await services.__aenter__()
        try:
            async with _serving(stack, variables, model) as serving:
                artifacts = FsspecArtifacts(variables["ARTIFACTS_URI"])
                compute = RayCompute(
                    endpoints.ray,
                    artifacts,
                    artifacts_uri=variables["ARTIFACTS_URI"],
                    token=ray_token(home),
                    entrypoint_python=sys.executable,
                )
                yield Production(variables, serving, artifacts, compute)
                await compute.aclose()
        finally:
            with watch.stage("stop"), screen.step("stop everything"):
                await services.close()
    finally:
        await stack.close()


@asynccontextmanager
async def _serving(
    stack: LocalStack, variables: dict[str, str], model: str
) -> AsyncGenerator[ServingClient]:
    port = stack.ports.take("serving")
    process = stack.process(
        "serving",
        (sys.executable, "-m", "examples.serving"),
        {**variables, "PIONEER_MODEL": model, "PIONEER_SERVING_PORT": str(port)},
    )
    client = ServingClient(f"http://127.0.0.1:{port}")
    process.start()
    try:
        yield client
    finally:
        await client.aclose()
        await process.stop()


async def deploy_first(production: Production, workload: Workload) -> None:
    """Train the first model on the seed rows, register it, and wait until it is served.

    Raises BadInput at once when the controller would refuse them.
    """
    rows = [Row(derive_id("seed", e.text), e.text, e.label) for e in workload.seed_rows]
    training_set = production.artifacts.put(dump_rows(rows), name="training.jsonl")
    task = Task(workload.kind, workload.labels)
    check_training(placed(rows, "rows of the first model"), task, "rows of the first model")
    trained = await _train(production.compute, task, training_set)
    event = ModelRegistered(
        id=derive_id("registered", workload.name, trained.adapter.sha256),
        model=workload.name,
        task=task,
        base_model=BASE_MODEL,
        adapter=trained.adapter,
        training_set=training_set,
    )
    async with publishing(production.settings, source="demo") as publisher:
        await publisher.publish(event)
    await production.serving.wait_for_version(1, seconds=60)


async def _train(compute: RayCompute, task: Task, training_set: ArtifactRef) -> TrainedCandidate:
    job_id = derive_id("first-model", training_set.sha256)
    candidate = CandidateSpec(id=derive_id("candidate", job_id), recipe=SEED_RECIPE)
    await compute.submit(
        job_id, TrainSpec(task=task, training_set=training_set, candidates=(candidate,))
    )
    while True:
        match await compute.poll(job_id):
            case JobSucceeded(TrainResult(trained=(first, *_))):
                return first
            case JobSucceeded(TrainResult(failed=failed)):
                raise PermanentError(f"the first model could not be trained: {failed[0].reason}")
            case JobFailed(reason):
                raise PermanentError(f"the first model could not be trained: {reason}")
            case _:
                await asyncio.sleep(0.3)


async def until_closed(
    follower: Follower, show: Callable[[Event], None]
) -> tuple[RunClosed, CandidateVerdict | None, int | None]:
    """Show events until the run ends: how it ended, the promoted verdict, the new version."""
    verdicts: dict[str, CandidateVerdict] = {}
    closed: RunClosed | None = None
    promoted: ModelPromoted | None = None
    async for event in follower.events():
        show(event)
        match event:
            case CandidatesVerified():
                verdicts |= {v.candidate.adapter.sha256: v for v in event.verdicts}
            case ModelPromoted(run_id=str()):
                promoted = event
            case RunClosed():
                closed = event
            case _:
                pass
        # Topics have no common order: a run's end may be heard before its promotion and verdicts.
        if closed and closed.outcome != "promoted":
            return closed, None, None
        if closed and promoted:
            version = promoted.deployed.version
            if verdict := verdicts.get(version.adapter.sha256):
                return closed, verdict, version.number
    raise PermanentError("the stream of events ended before the run did")
