"""``python -m bench.throughput``: how fast traces are taken, and what the control plane costs.

Prints JSON. ``traces_per_s`` is the diagnoser as its own process, from Kafka into the database,
with judging, label checks and indexes; ``raw_per_s`` a bare ``getmany`` + pydantic +
``insert_many`` loop, also its own process, on the same broker and database in the same run.
``ratio`` is their quotient. ``control_overhead`` is the share of a run's wall time that is neither
training nor inference.
"""

import asyncio
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer
from aiokafka import AIOKafkaProducer
from rich.console import Console

from bench.overhead import measure_overhead
from bench.raw_loop import RAW_COLLECTION, RAW_TOPIC
from services.diagnoser.models import KnownModels
from shared.adapters import mongo
from shared.adapters.mongo import MongoDocuments
from shared.domain.artifacts import ArtifactRef
from shared.domain.ids import derive_id
from shared.domain.lineage import DeployedModel, ModelVersion
from shared.domain.tasks import Task, TaskKind
from shared.events import TraceLogged
from shared.local import LocalStack
from shared.local.broker import ensure_topics
from shared.local.services import ServiceProcesses, service_environment

LABELS = [f"intent_{number:02d}" for number in range(30)]
WAIT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Rates:
    """Traces a second of each repetition."""

    diagnoser: list[float]
    raw: list[float]

    def summary(self) -> dict[str, Any]:
        ratios = [ours / bare for ours, bare in zip(self.diagnoser, self.raw, strict=True)]
        return {
            "traces_per_s": round(statistics.median(self.diagnoser)),
            "raw_per_s": round(statistics.median(self.raw)),
            "ratio": round(statistics.median(ratios), 3),
            "repetitions": len(ratios),
            "ratios": [round(ratio, 3) for ratio in ratios],
        }


def main(
    traces: Annotated[int, typer.Option(help="Traces of one repetition.")] = 100_000,
    repetitions: Annotated[int, typer.Option(help="The median is reported.")] = 3,
    overhead: Annotated[bool, typer.Option(help="Also run the loop once.")] = True,
) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    figures = asyncio.run(_throughput(traces, repetitions)).summary() | {"traces": traces}
    if overhead:
        figures |= asyncio.run(measure_overhead(Console(file=sys.stderr)))
    print(json.dumps(figures, indent=2))


async def _throughput(traces: int, repetitions: int) -> Rates:
    """Both ways in turn, so that a noisy minute meets both."""
    rates = Rates([], [])
    for number in range(repetitions):
        async with _stack() as (stack, variables, documents):
            await _produce(variables, TraceLogged.topic, f"model-{number}", traces)
            # Known, so that labels are checked; and never diagnosed, which is another bench.
            known = _deployed(f"model-{number}")
            await KnownModels(documents).heard(known, deployment=1, at=datetime.now(UTC))
            never = dict.fromkeys(("PIONEER_MIN_FAILURES", "PIONEER_PRESSING_FAILURES"), "1000000")
            services = ServiceProcesses(stack, variables | never, names=("diagnoser",))
            async with services:
                rates.diagnoser.append(await _rate(documents, "traces", traces))
            await _produce(variables, RAW_TOPIC, f"model-{number}", traces)
            raw = stack.process("raw", (sys.executable, "-m", "bench.raw_loop"), variables)
            raw.start()
            rates.raw.append(await _rate(documents, RAW_COLLECTION, traces))
            await raw.stop()
    return rates


@asynccontextmanager
async def _stack() -> AsyncGenerator[tuple[LocalStack, dict[str, str], MongoDocuments]]:
    with tempfile.TemporaryDirectory(prefix="pioneer-bench-") as folder:
        home = Path(folder)
        # Ray has no part in this, and would take memory and time from both.
        stack = LocalStack(home, ray="http://127.0.0.1:1")
        async with stack as endpoints:
            variables = service_environment(stack, endpoints)
            documents = mongo.connect(endpoints.mongodb, "pioneer")
            try:
                yield stack, variables, documents
            finally:
                documents.close()


async def _produce(variables: dict[str, str], topic: str, model: str, count: int) -> None:
    bootstrap = variables["KAFKA_BOOTSTRAP_SERVERS"]
    await ensure_topics(bootstrap, [topic])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=262_144)
    await producer.start()
    try:
        for number in range(count):
            await producer.send(topic, _trace(model, topic, number), key=model.encode())
        await producer.flush()
    finally:
        await producer.stop()


def _deployed(model: str) -> DeployedModel:
    version = ModelVersion(1, ArtifactRef("file:///none", "0" * 64), "base", None, None, None, None)
    return DeployedModel(model, Task(TaskKind.CLASSIFICATION, tuple(LABELS)), version, ())


def _trace(model: str, topic: str, number: int) -> bytes:
    wrong = number % 10 == 0
    label = LABELS[number % len(LABELS)]
    event = TraceLogged(
        id=derive_id(topic, model, number),
        model=model,
        model_version=1,
        input=f"where is my order number {number}, it was due on Monday and nobody answers me",
        output=LABELS[(number + wrong) % len(LABELS)],
        confidence=0.87,
        reference=label,
        occurred_at=datetime.now(UTC),
        metadata={"channel": "chat", "locale": "en"},
    )
    return event.model_dump_json().encode()


async def _rate(documents: MongoDocuments, collection: str, count: int) -> float:
    """Traces a second, from the first batch's arrival until all are stored."""
    rows = documents.collection(collection)
    deadline = monotonic() + WAIT_SECONDS
    while (stored := await rows.count({})) < count:
        if monotonic() > deadline:
            raise TimeoutError(f"{stored} of {count} traces in {collection} after {WAIT_SECONDS} s")
        await asyncio.sleep(0.1)
    ended = datetime.now(UTC)
    [first] = await rows.find({}, oldest_first_by="stored_at", limit=1)
    return count / (ended - first["stored_at"]).total_seconds()


if __name__ == "__main__":
    typer.run(main)
