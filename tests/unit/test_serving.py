"""The example server: a swap loses no request, and nothing bad ever takes a good model's place."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from examples.serving import deployments
from examples.serving.app import create_app
from examples.serving.server import Server
from examples.serving.settings import ServingSettings, kafka_client
from shared.domain.artifacts import ArtifactRef
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadSettings, DigestMismatch, TransientError
from shared.events import ModelPromoted, ModelRolledBack
from shared.settings import load_settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = ("v1", "v2", "v3", "v4")


def adapter(version: int) -> ArtifactRef:
    return ArtifactRef(f"memory://a/{version}", f"{version:064x}")


def deployed(version: int) -> DeployedModel:
    task = Task(TaskKind.CLASSIFICATION, LABELS)
    return DeployedModel(
        "intent", task, ModelVersion(version, adapter(version), "base", None, None, None, None), ()
    )


def promoted(deployment: int, version: int | None = None) -> ModelPromoted:
    return ModelPromoted(
        id=f"p{deployment}",
        model="intent",
        deployed=deployed(version or deployment),
        deployment=deployment,
        run_id=None,
        reason="better",
        occurred_at=NOW,
    )


def rolled_back(deployment: int, version: int) -> ModelRolledBack:
    return ModelRolledBack(
        id=f"r{deployment}",
        model="intent",
        deployed=deployed(version),
        deployment=deployment,
        from_version=version + 1,
        reason="worse",
        occurred_at=NOW,
    )


@dataclass(frozen=True)
class Said:
    output: str
    confidence: float


@dataclass
class FakeModel:
    """Answers every text with its own version, so that each answer tells who made it."""

    version: int
    seconds: float = 0.002
    poison: str = "\0"
    batches: list[int] = field(default_factory=list)
    busy: threading.Lock = field(default_factory=threading.Lock)

    def predict(self, texts: Sequence[str]) -> list[Said]:
        assert self.busy.acquire(blocking=False), "called from two threads at once"
        try:
            time.sleep(self.seconds)
            if any(self.poison in text for text in texts):
                raise RuntimeError("index out of range")
            self.batches.append(len(texts))
            return [Said(f"v{self.version}", 0.5) for _ in texts]
        finally:
            self.busy.release()


@dataclass
class Adapters:
    """Loads fakes; ``broken`` and ``away`` raise, by version, what a real store would."""

    models: dict[int, FakeModel] = field(default_factory=dict)
    broken: dict[int, Exception] = field(default_factory=dict)
    away: set[int] = field(default_factory=set)
    loads: list[int] = field(default_factory=list)

    def __call__(self, ref: ArtifactRef) -> FakeModel:
        version = int(ref.sha256, 16)
        self.loads.append(version)
        if version in self.broken:
            raise self.broken[version]
        if version in self.away:
            raise TransientError("the artifact store is away")
        time.sleep(0.02)
        return self.models.setdefault(version, FakeModel(version))


def settings(**changed: Any) -> ServingSettings:
    required = {
        "KAFKA_BOOTSTRAP_SERVERS": "nowhere:9092",
        "ARTIFACTS_URI": "memory://a",
        "PIONEER_MODEL": "intent",
    }
    with pytest.MonkeyPatch.context() as env:
        for name, value in (required | changed).items():
            env.setenv(name, str(value))
        return load_settings(ServingSettings)


@dataclass
class Running:
    server: Server
    http: httpx.AsyncClient

    async def ask(self, text: str | list[str] = "hello", **more: Any) -> httpx.Response:
        return await self.http.post("/v1/classify", json={"input": text, **more})

    async def serves(self, version: int) -> None:
        await self.until(lambda now: now["version"] == version)

    async def rejects(self, deployment: int) -> dict[str, Any]:
        now = await self.until(lambda now: now["rejected"] is not None)
        assert now["rejected"]["deployment"] == deployment
        return now

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while not condition(now := await self.model()):
                await asyncio.sleep(0.005)
        return now

    async def model(self) -> dict[str, Any]:
        return (await self.http.get("/v1/model")).json()


@asynccontextmanager
async def serving(adapters: Adapters, *first: Any, **changed: Any) -> AsyncIterator[Running]:
    """The server without Kafka: tests offer the deployments."""
    server = Server(settings(**changed), adapters)
    server.feed.caught_up = True
    tasks = [asyncio.create_task(part.run()) for part in (server.switch, server.batcher)]
    transport = httpx.ASGITransport(create_app(server))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://serving") as http:
            running = Running(server, http)
            if first:
                server.switch.offer(first)
                await running.until(lambda now: now["version"] is not None)
            yield running
            assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_swaps_under_load_lose_no_request_and_answers_name_their_maker() -> None:
    async with serving(Adapters(), promoted(1)) as running:
        answers: list[dict[str, Any]] = []

        swapped = asyncio.Event()

        async def caller(name: int) -> None:
            # One more after the last swap: every caller meets the newest model.
            for number in count():
                last = swapped.is_set()
                size = 1 + (name + number) % 3
                response = await running.ask([f"{name} {number} {i}" for i in range(size)])
                assert response.status_code == 200, response.text
                assert len(response.json()) == size
                assert len({a["model_version"] for a in response.json()}) == 1
                answers.extend(response.json())
                if last:
                    return

        async def swaps() -> None:
            for event in (promoted(2), promoted(3), rolled_back(4, version=2), promoted(5, 4)):
                await asyncio.sleep(0.05)
                running.server.switch.offer([event])
                await running.serves(event.deployed.version.number)
            swapped.set()

        await asyncio.gather(swaps(), *(caller(name) for name in range(20)))
        assert all(answer["output"] == f"v{answer['model_version']}" for answer in answers)
        assert {answer["model_version"] for answer in answers} >= {1, 4}
        assert len({answer["trace_id"] for answer in answers}) == len(answers)
        assert running.server.traces.waiting == len(answers)


async def test_requests_that_meet_are_predicted_together_but_never_split() -> None:
    adapters = Adapters({1: FakeModel(1, seconds=0.02)})
    async with serving(adapters, promoted(1), PIONEER_MAX_BATCH=8) as running:
        adapters.models[1].batches.clear()
        await asyncio.gather(*(running.ask(["a", "b", "c"]) for _ in range(10)))
        assert sum(adapters.models[1].batches) == 30
        assert max(adapters.models[1].batches) == 6


async def test_the_highest_deployment_wins_in_whatever_order_it_comes() -> None:
    adapters = Adapters()
    async with serving(adapters, promoted(1), rolled_back(3, version=1), promoted(2)) as running:
        assert (await running.model())["deployment"] == 3
        running.server.switch.offer([promoted(2), rolled_back(3, version=1)])
        await asyncio.sleep(0.1)
        assert (await running.model())["deployment"] == 3
        assert adapters.loads == [1]


@pytest.mark.parametrize(
    "error",
    [
        DigestMismatch("file 'adapter_model.safetensors': expected 1…, found 2…"),
        ValueError("header too large"),
    ],
)
async def test_a_corrupt_adapter_keeps_the_old_version_and_says_why(error: Exception) -> None:
    async with serving(Adapters(broken={2: error}), promoted(1)) as running:
        running.server.switch.offer([promoted(2)])
        now = await running.rejects(2)
        assert now["version"] == 1
        assert str(error) in now["rejected"]["reason"]
        assert (await running.ask()).json()["model_version"] == 1
        running.server.switch.offer([promoted(3)])
        await running.serves(3)
        assert (await running.model())["rejected"] is None


async def test_a_model_that_fails_on_its_first_text_is_rejected() -> None:
    broken = FakeModel(2, poison="first text")
    async with serving(Adapters({2: broken}), promoted(1)) as running:
        running.server.switch.offer([promoted(2)])
        assert (await running.rejects(2))["version"] == 1


async def test_a_fresh_replica_serves_what_the_others_serve_when_the_newest_is_corrupt() -> None:
    adapters = Adapters(broken={3: DigestMismatch("corrupt")})
    async with serving(adapters, promoted(1), promoted(2), promoted(3)) as running:
        now = await running.rejects(3)
        assert now["version"] == 2


async def test_a_store_that_is_away_is_tried_again() -> None:
    adapters = Adapters(away={2})
    async with serving(adapters, promoted(1)) as running:
        running.server.switch.offer([promoted(2)])
        now = await running.until(lambda now: now["problem"] is not None)
        assert "the artifact store is away" in now["problem"]
        assert (await running.ask()).json()["model_version"] == 1
        adapters.away.clear()
        await running.serves(2)
        assert (await running.model())["problem"] is None


async def test_one_bad_text_costs_only_itself() -> None:
    adapters = Adapters({1: FakeModel(1, poison="bad")})
    async with serving(adapters, promoted(1)) as running:
        good, bad, other = await asyncio.gather(
            running.ask("fine"), running.ask("bad"), running.ask(["fine", "fine"])
        )
        assert (good.status_code, bad.status_code, other.status_code) == (200, 500, 200)
        assert bad.json() == {"error": "the model failed on this input: RuntimeError"}


async def test_without_a_model_it_says_so() -> None:
    async with serving(Adapters()) as running:
        response = await running.ask()
        assert response.status_code == 503
        assert "no version of model 'intent' is loaded yet" in response.json()["error"]
        assert (await running.http.get("/health/ready")).status_code == 503
        assert (await running.http.get("/health/live")).status_code == 200


async def test_too_many_waiting_texts_are_refused_at_once() -> None:
    adapters = Adapters({1: FakeModel(1, seconds=0.05)})
    async with serving(adapters, promoted(1), PIONEER_MAX_WAITING=4) as running:
        responses = await asyncio.gather(*(running.ask(["a", "b"]) for _ in range(6)))
        codes = [response.status_code for response in responses]
        assert set(codes) == {200, 503}
        assert codes.count(200) >= 2


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "not JSON"),
        (b'{"input": "\\ud800"}', 400, "not JSON"),
        (b"[]", 422, "body"),
        (b"{}", 422, "input"),
        (b'{"input": 5}', 422, "input: give a text or a list of texts"),
        (b'{"input": []}', 422, "input: give a text or a list of texts"),
        (b'{"input": ["a", " "]}', 422, "none of them empty"),
        (b'{"input": "a", "refrence": "v1"}', 422, "refrence"),
        (b'{"input": "a", "reference": "v9"}', 422, "not one of the 4 labels of the model"),
        (b'{"input": "a", "reference": ["v1"]}', 422, "reference: give a single text"),
        (b'{"input": ["a", "b"], "reference": ["v1"]}', 422, "reference: give a list of 2"),
        (b'{"input": ["a", "b"], "id": ["x", "x"]}', 422, "an id of its own"),
        (b'{"input": "a", "id": ""}', 422, "id"),
        (b'{"input": "' + b"a" * 101 + b'"}', 413, "101 characters, at most 100"),
        (b'{"input": ["a", "b", "c", "d", "e"]}', 413, "5 texts, at most 4"),
        (b" " * 3000, 413, "larger than 2048 bytes"),
    ],
)
async def test_bad_input_gets_a_sentence_and_leaves_no_trace(
    body: bytes, status: int, says: str
) -> None:
    limits = {
        "PIONEER_MAX_TEXT_CHARS": 100,
        "PIONEER_MAX_INPUTS": 4,
        "PIONEER_MAX_BODY_BYTES": 2048,
    }
    async with serving(Adapters(), promoted(1), **limits) as running:
        response = await running.http.post("/v1/classify", content=body)
        assert (response.status_code, says in response.json()["error"]) == (status, True), (
            response.text
        )
        assert running.server.traces.waiting == 0


async def test_feedback_is_checked_and_never_taken_without_kafka() -> None:
    async with serving(Adapters(), promoted(1)) as running:

        async def give(**body: Any) -> httpx.Response:
            return await running.http.post("/v1/feedback", json={"trace_id": "t"} | body)

        assert (await give(verdict="maybe")).status_code == 422
        assert (await give(verdict="fail", corrected_output="v9")).status_code == 422
        away = await give(verdict="fail", corrected_output="v2", human=True)
        assert away.status_code == 503
        assert "send the feedback again" in away.json()["error"]


async def test_traces_beyond_the_bound_are_dropped_and_counted() -> None:
    async with serving(Adapters(), promoted(1), PIONEER_MAX_QUEUED_TRACES=3) as running:
        for number in range(5):
            assert (await running.ask(id=f"t{number}")).json()["trace_id"] == f"t{number}"
        now = await running.model()
        assert (now["traces_waiting"], now["traces_dropped"]) == (3, 2)


class Restarting:
    """A consumer whose first life ends with the broker, as aiokafka's does; the second reads."""

    lives = 0

    def __init__(self, **_: Any) -> None:
        Restarting.lives += 1
        self.first = Restarting.lives == 1
        self.topic = ""
        self.unread = True

    async def start(self) -> None:
        if self.first:
            raise KafkaConnectionError("the broker is away")

    async def stop(self) -> None:
        if self.first:
            raise asyncio.CancelledError

    async def topics(self) -> set[str]:
        return {"model.promoted", "inference.traces"}

    def subscription(self) -> set[str]:
        return {self.topic} - {""}

    def subscribe(self, topics: list[str]) -> None:
        (self.topic,) = topics

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(self.topic, 0)}

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.005)
        if not self.unread:
            return {}
        self.unread = False
        events = (promoted(2), promoted(1))
        values = [b"not json", None, *(event.model_dump_json().encode() for event in events)]
        records = [
            SimpleNamespace(topic=self.topic, offset=n, value=v) for n, v in enumerate(values)
        ]
        return {TopicPartition(self.topic, 0): records}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 4)

    async def position(self, _: TopicPartition) -> int:
        return 4


async def test_the_feed_survives_the_broker_and_delivers_what_was_there_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deployments, "AIOKafkaConsumer", Restarting)
    monkeypatch.setattr(deployments, "_RETRY_S", 0.0)
    delivered: list[list[int]] = []
    feed = deployments.DeploymentFeed(
        {}, "intent", lambda events: delivered.append([e.deployment for e in events])
    )
    following = asyncio.create_task(feed.run())
    async with asyncio.timeout(5):
        while not feed.caught_up:
            await asyncio.sleep(0.005)
    assert delivered == [[2, 1]]
    assert not following.done()
    following.cancel()


def test_settings_are_refused_with_a_sentence() -> None:
    with pytest.raises(BadSettings, match="KAFKA_SASL_USERNAME"):
        settings(KAFKA_SECURITY_PROTOCOL="SASL_SSL")
    with pytest.raises(BadSettings, match="ARTIFACTS_URI: give a URI with a scheme"):
        settings(ARTIFACTS_URI="/tmp/a")
    sasl = settings(
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", KAFKA_SASL_USERNAME="u", KAFKA_SASL_PASSWORD="p"
    )
    assert kafka_client(sasl)["sasl_mechanism"] == "SCRAM-SHA-512"
