"""The example server as a process, over a real broker, with models that were really trained."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.pipeline import Hyperparameters, Recipe, Strategy
from shared.domain.tasks import Task, TaskKind
from shared.events import Event, FeedbackGiven, ModelPromoted, ModelRolledBack, TraceLogged
from shared.jobs.base_models import MINILM
from shared.jobs.checkpoints import describe, save
from shared.jobs.fit import fit
from shared.jobs.rows import Row
from shared.local.broker import ensure_topics

pytestmark = pytest.mark.connected

ROOT = Path(__file__).parents[2]
TASK = Task(TaskKind.CLASSIFICATION, ("food", "weather"))
ROWS = [
    *(Row(f"f{i}", f"a recipe for dinner with {x}", "food") for i, x in enumerate("abcdefgh")),
    *(Row(f"w{i}", f"will it rain in town {x}", "weather") for i, x in enumerate("abcdefgh")),
]


@pytest.fixture(scope="module")
def adapters(artifacts: FsspecArtifacts) -> list[ArtifactRef]:
    return [train(artifacts, seed) for seed in (1, 2)]


def train(artifacts: FsspecArtifacts, seed: int) -> ArtifactRef:
    recipe = Recipe(Hyperparameters(MINILM, 2e-3, epochs=2, batch_size=8, seed=seed), Strategy())
    fitted = fit(ROWS, TASK, recipe, report=lambda *_: None, due=lambda: False)
    about = describe(TASK, recipe, artifacts.put(b"{}\n", name="rows.jsonl"))
    return save(artifacts, about, fitted.model, fitted.tokenizer, name=f"candidate-{seed}")


def corrupted(artifacts: FsspecArtifacts) -> ArtifactRef:
    """An adapter whose weights rotted on the disk after they were stored."""
    ref = train(artifacts, 3)
    weights = Path(ref.uri.removeprefix("file://")) / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(bytes(data))
    return ref


@dataclass(frozen=True)
class Model:
    """What the controller would publish about one model."""

    name: str
    producer: AIOKafkaProducer

    async def promote(self, deployment: int, version: int, adapter: ArtifactRef) -> None:
        await self.publish(ModelPromoted, deployment, version, adapter, run_id=None)

    async def roll_back(self, deployment: int, version: int, adapter: ArtifactRef) -> None:
        await self.publish(ModelRolledBack, deployment, version, adapter, from_version=version + 1)

    async def publish(
        self, kind: type[Event], deployment: int, version: int, adapter: ArtifactRef, **more: Any
    ) -> None:
        checkpoint = ModelVersion(version, adapter, MINILM, None, None, None, None)
        event = kind.model_validate(
            {
                "id": str(uuid4()),
                "model": self.name,
                "deployed": DeployedModel(self.name, TASK, checkpoint, ()),
                "deployment": deployment,
                "reason": "test",
                "occurred_at": datetime.now(UTC),
                **more,
            }
        )
        body = event.model_dump_json().encode()
        await self.producer.send_and_wait(event.topic, body, key=self.name.encode())


@asynccontextmanager
async def producing(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def serving(
    kafka: str, artifacts: FsspecArtifacts, model: str
) -> AsyncIterator[httpx.AsyncClient]:
    """``python -m examples.serving``; on the way out it must end well on SIGTERM."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "examples.serving",
        cwd=ROOT,
        env=os.environ
        | {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "ARTIFACTS_URI": artifacts.uri,
            "PIONEER_MODEL": model,
            "PIONEER_SERVING_PORT": str(port),
            "PIONEER_LOG_FORMAT": "text",
        },
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            await until(http, "/health/live", lambda r: r.status_code == 200)
            yield http
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) in (0, -signal.SIGTERM)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(http: httpx.AsyncClient, path: str, condition: Any) -> httpx.Response:
    async with asyncio.timeout(300):
        while True:
            try:
                if condition(response := await http.get(path)):
                    return response
            except httpx.ConnectError:
                pass
            await asyncio.sleep(0.1)


async def serves(http: httpx.AsyncClient, version: int) -> None:
    await until(http, "/v1/model", lambda r: r.json()["version"] == version)


async def read(kafka: str, topic: str, model: str, wanted: int) -> list[Any]:
    """The records of one model, read until as many as wanted are there."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    try:
        async with asyncio.timeout(30):
            while len(found) < wanted:
                record = await consumer.getone()
                if record.key == model.encode():
                    found.append(record)
    finally:
        await consumer.stop()
    return found


async def test_promotions_are_followed_under_load_and_every_answer_leaves_a_trace(
    stack: Any, artifacts: FsspecArtifacts, adapters: list[ArtifactRef]
) -> None:
    name = f"topics-{uuid4().hex[:8]}"
    answers: list[dict[str, Any]] = []
    async with serving(stack.kafka, artifacts, name) as http, producing(stack.kafka) as producer:
        model = Model(name, producer)

        async def ask(text: str | list[str], **more: Any) -> list[dict[str, Any]]:
            response = await http.post("/v1/classify", json={"input": text, **more})
            assert response.status_code == 200, response.text
            found = response.json() if isinstance(text, list) else [response.json()]
            answers.extend(found)
            return found

        await until(http, "/health/ready", lambda r: "is loaded yet" in r.text)
        assert (await http.post("/v1/classify", json={"input": "a"})).status_code == 503
        topics = (ModelPromoted, ModelRolledBack, TraceLogged, FeedbackGiven)
        await ensure_topics(stack.kafka, [event.topic for event in topics])
        await producer.send_and_wait(ModelPromoted.topic, b"not json", key=name.encode())
        await Model("another", producer).promote(9, 9, adapters[1])
        await model.promote(1, 1, adapters[0])
        await serves(http, 1)
        (answer,) = await ask("will it rain in town z", reference="weather", id=f"{name}-mine")
        assert (answer["trace_id"], answer["model_version"]) == (f"{name}-mine", 1)
        assert answer["output"] == "weather"

        async def load(stop: asyncio.Event) -> None:
            while not stop.is_set():
                await ask(["a recipe for dinner", "rain"])

        stop = asyncio.Event()
        callers = [asyncio.create_task(load(stop)) for _ in range(8)]
        await model.promote(2, 2, adapters[1])
        await serves(http, 2)
        await model.promote(3, 3, corrupted(artifacts))
        rejected = await until(http, "/v1/model", lambda r: r.json()["rejected"])
        assert "adapter_model.safetensors" in rejected.json()["rejected"]["reason"]
        assert rejected.json()["version"] == 2
        await model.roll_back(4, 1, adapters[0])
        await serves(http, 1)
        stop.set()
        await asyncio.gather(*callers)
        assert {answer["model_version"] for answer in answers} == {1, 2}

        feedback = {"trace_id": f"{name}-mine", "verdict": "pass", "human": True}
        assert (await http.post("/v1/feedback", json=feedback)).status_code == 202

    records = await read(stack.kafka, TraceLogged.topic, name, len(answers))
    traces = {t.id: t for t in (TraceLogged.model_validate_json(r.value) for r in records)}
    assert traces.keys() == {answer["trace_id"] for answer in answers}
    assert all(traces[a["trace_id"]].model_version == a["model_version"] for a in answers)
    assert traces[f"{name}-mine"].reference == "weather"
    assert dict(records[0].headers)["ce_type"] == b"pioneer.inference.traces"
    (given,) = await read(stack.kafka, FeedbackGiven.topic, name, 1)
    assert json.loads(given.value)["trace_id"] == f"{name}-mine"


async def test_a_new_replica_starts_with_the_newest_deployment(
    stack: Any, artifacts: FsspecArtifacts, adapters: list[ArtifactRef]
) -> None:
    name = f"replica-{uuid4().hex[:8]}"
    await ensure_topics(stack.kafka, [ModelPromoted.topic, ModelRolledBack.topic])
    async with producing(stack.kafka) as producer:
        model = Model(name, producer)
        await model.roll_back(3, 1, adapters[0])
        await model.promote(1, 1, adapters[0])
        await model.promote(2, 2, adapters[1])
    async with serving(stack.kafka, artifacts, name) as http:
        await until(http, "/health/ready", lambda r: r.status_code == 200)
        now = (await http.get("/v1/model")).json()
        assert (now["deployment"], now["version"]) == (3, 1)
        assert now["adapter"] == adapters[0].sha256
