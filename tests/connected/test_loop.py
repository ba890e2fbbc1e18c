"""The whole loop on real parts: broker, database, Ray, MiniLM, serving with a hot swap."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka_reader import reading_topics
from shared.domain.rows import TrainingRow, load_rows
from shared.events import (
    CandidatesTrained,
    CandidatesVerified,
    FailuresDiagnosed,
    ModelPromoted,
    ModelRolledBack,
    RollbackRequested,
    RunClosed,
    TraceLogged,
    TrainingSetSynthesized,
    dead_letter_topic,
)
from shared.settings import ServiceSettings
from tests.connected.fixtures import Stack
from tests.connected.story import Storyteller

pytestmark = [pytest.mark.connected, pytest.mark.timeout(1200)]


async def test_a_failing_model_is_replaced_by_a_better_one(
    storyteller: Storyteller, stack: Stack, artifacts: FsspecArtifacts
) -> None:
    story = storyteller
    await story.deploy()
    async with serving(story, stack) as http:
        await version_served(http, 1)
        asked = [{"input": row.text, "reference": row.target} for row, _ in story.answered.answers]
        # In bursts: between two failures a slow machine must not fall quiet.
        for burst in batched(asked, 20):
            sent = (http.post("/v1/classify", json=body) for body in burst)
            for answer in await asyncio.gather(*sent):
                assert answer.json()["model_version"] == 1
        closed = await story.until(RunClosed)
        assert closed.outcome == "promoted", closed.reason
        await version_served(http, 2)
        await story.publish([RollbackRequested(id=f"back-{story.model}", model=story.model)])
        await story.until(ModelRolledBack)
        await version_served(http, 1)

    diagnosed = await story.until(FailuresDiagnosed)
    assert diagnosed.failures == story.answered.failures
    synthesized = await story.until(TrainingSetSynthesized)
    rows = load_rows(artifacts.get(synthesized.training_set), TrainingRow)
    assert len(rows) == synthesized.composition.rows > diagnosed.repair
    trained = await story.until(CandidatesTrained)
    assert {c.recipe.strategy.method for c in trained.candidates} == {"lora", "full"}
    for candidate in trained.candidates:
        names = artifacts.get_folder(candidate.adapter)
        assert any(name.endswith(".safetensors") for name in names)
        assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    verified = await story.until(CandidatesVerified)
    assert all(v.report and v.report.heldout.total == diagnosed.heldout for v in verified.verdicts)
    promoted = await story.until(ModelPromoted, lambda e: e.run_id is not None)
    assert (promoted.deployed.version.heldout_score or 0) > 0.3


def batched(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """As ``itertools.batched``, which Python 3.11 has not."""
    return (rows[at : at + size] for at in range(0, len(rows), size))


async def test_what_kafka_lets_through_but_we_do_not(
    storyteller: Storyteller, stack: Stack
) -> None:
    story = storyteller
    await story.deploy()
    row, output = story.answered.answers[0]
    good = story.trace(row, output)
    huge = story.trace(row, output, id="huge", input="x" * 10_000_000)
    from aiokafka import AIOKafkaProducer

    async with AIOKafkaProducer(
        bootstrap_servers=stack.kafka, max_request_size=16_000_000
    ) as producer:
        for body in (b"\xff\xfe not JSON", huge.model_dump_json().encode()):
            await producer.send_and_wait(
                TraceLogged.topic,
                body,
                key=story.model.encode(),
                headers=[("binary", b"\xff\x00\xfe")],
            )
        await producer.send_and_wait(TraceLogged.topic, good.model_dump_json().encode())
    async with asyncio.timeout(300):
        while await story.stored_traces() == 0:
            await asyncio.sleep(0.2)
    assert await story.stored_traces() == 1
    settings = ServiceSettings.model_validate(stack.variables)
    letters = [dead_letter_topic(TraceLogged.topic)]
    async with reading_topics(settings, letters, from_start=True) as reader:
        reasons = [r.headers["error"] for r in await reader.until_quiet() if r.body != b""]
    assert any("the body is not JSON" in reason for reason in reasons)
    assert any("input has 10000000 characters" in reason for reason in reasons)


class serving:  # noqa: N801
    """The example server as a process, and a client of it."""

    def __init__(self, story: Storyteller, stack: Stack) -> None:
        port = stack.local.ports.take("serving")
        variables = {"PIONEER_MODEL": story.model, "PIONEER_SERVING_PORT": str(port)}
        self._process = stack.local.process(
            "serving",
            (sys.executable, "-m", "examples.serving"),
            {**stack.variables, **variables},
        )
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False
        )

    async def __aenter__(self) -> httpx.AsyncClient:
        self._process.start()
        return self._http

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._process.stop()


async def version_served(http: httpx.AsyncClient, version: int) -> None:
    async with asyncio.timeout(300):
        while True:
            try:
                if (await http.get("/v1/model")).json()["version"] == version:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)
