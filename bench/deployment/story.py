"""The deployment through the real services: serve, fail, improve once, serve again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from bench.deployment.traffic import Deployment
from examples.demo.follow import Follower
from examples.demo.production import RUN_SETTINGS, deploy_first, production, until_closed
from examples.demo.report import Stopwatch
from examples.demo.screen import Screen
from examples.demo.workload import Workload
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka_reader import LOOP_TOPICS, reading_topics
from shared.domain.evaluation import EvaluationReport
from shared.domain.rows import EvalRow, Row, TrainingRow, load_rows
from shared.events import Event, FailuresDiagnosed, ModelPromoted

# One diagnosis, when all requests are in; the run goes for the share the paper reports.
SETTINGS = RUN_SETTINGS | {
    "PIONEER_QUIET_SECONDS": "5",
    "PIONEER_PRESSING_FAILURES": "1000000",
    "PIONEER_TARGET": "0.985",
    "PIONEER_REGRESSION_SHARE": "1.0",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """The labels a version gave, in the order of the requests and of the test."""

    requests: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Triaged:
    """What triage found in one trace."""

    kind: str
    family: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """All that the story tells. Without a promotion ``after`` is ``before``.

    ``trained`` are the rows that the promoted version learned from, ``measured`` the ids of the
    gate's rows, ``triage`` its findings by the id of the trace, ``report`` the gate's of the
    promoted version.
    """

    before: Answers
    after: Answers
    promoted: bool
    reason: str
    recipe: str | None
    iterations: int
    trained: tuple[Row | TrainingRow, ...]
    measured: tuple[EvalRow, ...]
    triage: dict[str, Triaged]
    seconds: float
    report: EvaluationReport | None = None


@dataclass(slots=True)
class _Heard:
    """Keeps what is needed later, and shows everything."""

    screen: Screen
    diagnosed: FailuresDiagnosed | None = None
    promoted: ModelPromoted | None = None

    def __call__(self, event: Event) -> None:
        self.screen.show(event)
        match event:
            case FailuresDiagnosed():
                self.diagnosed = event
            case ModelPromoted(run_id=str()):
                self.promoted = event
            case _:
                pass


async def tell(
    deployment: Deployment, home: Path, screen: Screen, settings: Mapping[str, str]
) -> Told:
    """The whole story once; everything that was started has ended when this returns.

    ``settings`` of the services go above those of every deployment.
    """
    watch = Stopwatch()
    served = [request.served for request in deployment.requests]
    workload = Workload(
        deployment.name,
        deployment.labels,
        deployment.first,
        tuple(served),
        deployment.test,
        deployment.kind,
    )
    async with (
        production(home, deployment.name, screen, watch, {**SETTINGS, **settings}) as running,
        reading_topics(running.settings, LOOP_TOPICS, from_start=True) as reader,
    ):
        follower, heard = Follower(reader, watch), _Heard(screen)
        with screen.step("train the first model and deploy it"):
            await deploy_first(running, workload)
        with screen.step(f"serve {len(served)} requests"):
            test = await running.serving.answers(deployment.test, log=False)
            before = Answers(tuple(await running.serving.answers(served, log=True)), tuple(test))
        begin = follower.mark = monotonic()
        ended, verdict, version = await until_closed(follower, heard)
        seconds, after = monotonic() - begin, before
        if version is not None:
            await running.serving.wait_for_version(version, seconds=60)
            again = await running.serving.answers(served, log=False)
            test = await running.serving.answers(deployment.test, log=False)
            after = Answers(tuple(again), tuple(test))
        return Told(
            before=before,
            after=after,
            promoted=version is not None,
            reason=ended.reason,
            recipe=verdict.candidate.name if verdict else None,
            iterations=ended.iterations,
            trained=_trained(running.artifacts, heard.promoted),
            measured=_measured(running.artifacts, heard.diagnosed),
            triage=_triage(running.artifacts, heard.diagnosed),
            seconds=round(seconds, 1),
            report=verdict.report if verdict else None,
        )


def _trained(artifacts: FsspecArtifacts, event: ModelPromoted | None) -> tuple[Row, ...]:
    training_set = event.deployed.version.training_set if event else None
    if training_set is None:
        return ()
    return tuple(load_rows(artifacts.get(training_set), Row))


def _measured(artifacts: FsspecArtifacts, event: FailuresDiagnosed | None) -> tuple[EvalRow, ...]:
    if event is None:
        return ()
    return tuple(load_rows(artifacts.get(event.evaluation_set), EvalRow))


def _triage(artifacts: FsspecArtifacts, event: FailuresDiagnosed | None) -> dict[str, Triaged]:
    if event is None:
        return {}
    lines = artifacts.get_folder(event.diagnosis)["triage.jsonl"].splitlines()
    found = [json.loads(line) for line in lines]
    return {one["id"]: Triaged(one["kind"], one.get("family")) for one in found}
