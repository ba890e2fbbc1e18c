"""The demo: a weak model is put into production, fails, and is improved by the real loop."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from examples.demo.follow import Follower
from examples.demo.memory import PeakMemory
from examples.demo.report import Report, Stopwatch
from examples.demo.screen import Screen
from examples.demo.serving import ServingClient
from examples.demo.workload import Workload
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import publishing
from shared.adapters.kafka_reader import LOOP_TOPICS, reading_topics
from shared.adapters.ray_compute import RayCompute
from shared.domain.artifacts import ArtifactRef
from shared.domain.evaluation import SetReport
from shared.domain.ids import derive_id
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy
from shared.domain.rows import Row, dump_rows
from shared.domain.tasks import Task, TaskKind
from shared.errors import PermanentError
from shared.events import (
    CandidatesVerified,
    CandidateVerdict,
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
    "PIONEER_POLL_SECONDS": "0.2",
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


async def run_demo(workload: Workload, home: Path, screen: Screen) -> Report:
    """The whole story once; everything that was started has ended when this returns."""
    watch, memory = Stopwatch(), PeakMemory()
    async with (
        memory.sampling(),
        _production(home, workload.name, screen, watch) as production,
        reading_topics(production.settings, LOOP_TOPICS, from_start=True) as reader,
    ):
        follower = Follower(reader, watch)
        with watch.stage("parent"), screen.step("train the first model and deploy it"):
            await _deploy_first(production, workload)
        with watch.stage("measure"), screen.step("measure it on unseen rows"):
            before = await production.serving.accuracy(workload.test)
        with watch.stage("traffic"), screen.step(f"serve {len(workload.traffic)} requests"):
            passed = await production.serving.send_traffic(workload.traffic)
        screen.say(f"production answered {passed:.1%} right; the loop takes over")
        follower.mark = monotonic()
        ended, verdict, version = await _until_closed(follower, screen)
        if version is not None:
            with watch.stage("swap"), screen.step("serving swaps to the promoted model"):
                await production.serving.wait_for_version(version, seconds=60)
        with watch.stage("measure"), screen.step("measure again on the same unseen rows"):
            after = await production.serving.accuracy(workload.test)
    report = verdict.report if verdict else None
    heldout = report.heldout if report else None
    return Report(
        workload=workload.name,
        labels=len(workload.labels),
        promoted=ended.outcome == "promoted",
        reason=ended.reason,
        accuracy_before=round(before, 4),
        accuracy_after=round(after, 4),
        test_rows=len(workload.test),
        heldout_failures=heldout.total if heldout else 0,
        heldout_right_before=heldout.right_before if heldout else 0,
        heldout_right_after=heldout.right_after if heldout else 0,
        heldout_failures_fixed=_fixed(heldout) if heldout else 0,
        regressions=report.regressions if report else 0,
        iterations=ended.iterations,
        seconds=round(watch.total, 1),
        peak_rss_mb=round(memory.megabytes, 1),
        train_seconds=round(watch.training, 1),
        inference_seconds=round(watch.inference, 1),
        stages=watch.rounded(),
    )


def _fixed(heldout: SetReport) -> int:
    """Rows that were wrong before and are right now."""
    return heldout.right_after - heldout.right_before + heldout.regressions


@asynccontextmanager
async def _production(
    home: Path, model: str, screen: Screen, watch: Stopwatch
) -> AsyncGenerator[Production]:
    stack = LocalStack(home)
    with watch.stage("start"), screen.step("start broker, database and Ray"):
        endpoints = await stack.__aenter__()
    try:
        variables = service_environment(stack, endpoints) | RUN_SETTINGS
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


async def _deploy_first(production: Production, workload: Workload) -> None:
    rows = [Row(derive_id("seed", e.text), e.text, e.label) for e in workload.seed_rows]
    training_set = production.artifacts.put(dump_rows(rows), name="training.jsonl")
    task = Task(TaskKind.CLASSIFICATION, workload.labels)
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


async def _until_closed(
    follower: Follower, screen: Screen
) -> tuple[RunClosed, CandidateVerdict | None, int | None]:
    """Show events until the run ends: how it ended, the promoted verdict, the new version."""
    verdicts: dict[str, CandidateVerdict] = {}
    closed: RunClosed | None = None
    promoted: ModelPromoted | None = None
    async for event in follower.events():
        screen.show(event)
        match event:
            case CandidatesVerified():
                verdicts |= {v.candidate.adapter.sha256: v for v in event.verdicts}
            case ModelPromoted(run_id=str()):
                promoted = event
            case RunClosed():
                closed = event
            case _:
                pass
        # Two topics have no common order: a promotion may be heard after its run's end.
        if closed and closed.outcome != "promoted":
            return closed, None, None
        if closed and promoted:
            version = promoted.deployed.version
            return closed, verdicts[version.adapter.sha256], version.number
    raise PermanentError("the stream of events ended before the run did")
