"""The embedded stack starts, answers, keeps its data and leaves nothing behind."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pymongo import AsyncMongoClient

from shared.local import LocalStack, LocalStackError, ensure_topics, ray_token

pytestmark = [pytest.mark.connected, pytest.mark.timeout(180)]

# An address that is given is used as it is, so a test starts only the part it asks about.
ELSEWHERE = "elsewhere:1"
ROOT = Path(__file__).parents[2]

# A shell that starts the tests in the background makes them ignore Ctrl-C; the owner listens.
OWNER = """
import asyncio, signal, sys
from pathlib import Path
from shared.local import LocalStack

async def main():
    async with LocalStack(Path(sys.argv[1]), num_cpus=1):
        print("up", flush=True)
        await asyncio.sleep(300)

signal.signal(signal.SIGINT, signal.default_int_handler)
asyncio.run(main())
"""


async def ended(processes: list[psutil.Process]) -> bool:
    """Whether all of them end within the time that a part may take to stop."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=20)
    # Where nobody collects orphans, the dead stay listed.
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def descendants() -> set[psutil.Process]:
    """Processes that this one started, and those that they did."""
    return set(psutil.Process().children(recursive=True))


def start_owner(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, str(home)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=16 << 20) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(
    bootstrap: str, topic: str, count: int, *, group: str | None = None
) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=1500,
        rebalance_timeout_ms=1000,
        heartbeat_interval_ms=300,
    )
    async with consumer, asyncio.timeout(60):
        values = [(await consumer.getone()).value for _ in range(count)]
        if group:
            await consumer.commit()
    return [value for value in values if value is not None]


async def job_status(client: httpx.AsyncClient, job: str) -> str:
    async with asyncio.timeout(90):
        while True:
            status = (await client.get(f"/api/jobs/{job}")).json()["status"]
            if status in {"SUCCEEDED", "FAILED", "STOPPED"}:
                return status
            await asyncio.sleep(0.2)


async def test_all_parts_answer_and_a_job_runs(tmp_path: Path) -> None:
    # Servers that other tests share may be running.
    before = descendants()
    async with LocalStack(tmp_path, num_cpus=1) as endpoints:
        await ensure_topics(endpoints.kafka, ["traces"])
        await produce(endpoints.kafka, "traces", [b"one"])
        assert await consume(endpoints.kafka, "traces", 1) == [b"one"]

        async with AsyncMongoClient(endpoints.mongodb) as mongo:
            await mongo.db.things.insert_one({"_id": 1})
            assert await mongo.db.things.count_documents({}) == 1

        anonymous = await asyncio.to_thread(httpx.get, f"{endpoints.ray}/api/jobs/")
        assert anonymous.status_code == 401
        headers = {"Authorization": f"Bearer {ray_token(tmp_path)}"}
        async with httpx.AsyncClient(base_url=endpoints.ray, headers=headers, timeout=30) as client:
            program = 'import os, shared; print(os.environ["MARK"])'
            job = {
                "submission_id": "chosen",
                "entrypoint": f"{sys.executable} -c {shlex.quote(program)}",
                "entrypoint_num_cpus": 1,
                "runtime_env": {"env_vars": {"MARK": "seen"}},
            }
            (await client.post("/api/jobs/", json=job)).raise_for_status()
            assert await job_status(client, "chosen") == "SUCCEEDED"
            assert "seen" in (await client.get("/api/jobs/chosen/logs")).json()["logs"]
        started = descendants() - before
    assert len(started) > 8
    assert not any(process.is_running() for process in started)
    assert (tmp_path / "ray" / "token").stat().st_mode & 0o777 == 0o600


async def test_database_keeps_acknowledged_writes_over_a_kill(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, kafka=ELSEWHERE, ray=ELSEWHERE)
    async with stack as endpoints:
        async with AsyncMongoClient(endpoints.mongodb) as mongo:
            await mongo.db.things.insert_many({"_id": number} for number in range(500))
        await stack.database.kill()
        assert await stack.database.start(30) == endpoints.mongodb
        async with AsyncMongoClient(endpoints.mongodb) as mongo:
            assert await mongo.db.things.count_documents({}) == 500


async def test_durable_broker_keeps_messages_and_offsets(tmp_path: Path) -> None:
    def broker() -> LocalStack:
        return LocalStack(tmp_path, mongodb=ELSEWHERE, ray=ELSEWHERE, durable_broker=True)

    stack = broker()
    async with stack as first:
        await ensure_topics(first.kafka, ["traces"])
        await ensure_topics(first.kafka, ["traces"])
        await produce(first.kafka, "traces", [b"1", b"2", b"3"])
        assert await consume(first.kafka, "traces", 2, group="readers") == [b"1", b"2"]
        await stack.broker.kill()
        await stack.broker.start(30)
        assert await consume(first.kafka, "traces", 1, group="readers") == [b"3"]
    async with broker() as second:
        assert second == first
        assert await consume(second.kafka, "traces", 3) == [b"1", b"2", b"3"]


async def test_broker_takes_a_large_message(tmp_path: Path) -> None:
    async with LocalStack(tmp_path, mongodb=ELSEWHERE, ray=ELSEWHERE) as endpoints:
        await ensure_topics(endpoints.kafka, ["large"])
        await produce(endpoints.kafka, "large", [bytes(10 << 20)])
        assert [len(value) for value in await consume(endpoints.kafka, "large", 1)] == [10 << 20]


async def test_two_stacks_side_by_side(tmp_path: Path) -> None:
    stacks = [LocalStack(tmp_path / name, num_cpus=1) for name in ("a", "b")]
    async with stacks[0] as a, stacks[1] as b:
        assert not {a.kafka, a.mongodb, a.ray} & {b.kafka, b.mongodb, b.ray}
        token = ray_token(tmp_path / "a")
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
            assert (await client.get(f"{a.ray}/api/version")).status_code == 200
            assert (await client.get(f"{b.ray}/api/version")).status_code == 403


async def test_a_part_that_dies_is_reported_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/bin/false")
    stack = LocalStack(tmp_path, mongodb=ELSEWHERE, ray=ELSEWHERE)
    with pytest.raises(LocalStackError, match=r"broker died at start; the end of .*broker\.log"):
        await stack.__aenter__()


async def test_one_home_serves_one_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.local.stack.LOCK_TIMEOUT", 0.3)
    given = {"kafka": ELSEWHERE, "mongodb": ELSEWHERE, "ray": ELSEWHERE}
    async with LocalStack(tmp_path, **given):
        with pytest.raises(LocalStackError, match="in use by another local stack"):
            await LocalStack(tmp_path, **given).__aenter__()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_nothing_outlives_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    owner = start_owner(tmp_path)
    assert owner.stdout is not None
    assert await asyncio.to_thread(owner.stdout.readline) == b"up\n"
    started = psutil.Process(owner.pid).children(recursive=True)
    assert len(started) > 8
    owner.send_signal(number)
    await asyncio.to_thread(owner.wait, 60)
    owner.stdout.close()
    assert await ended(started)


async def test_a_ray_head_that_loses_a_process_ends_whole(tmp_path: Path) -> None:
    before = descendants()
    async with LocalStack(tmp_path, kafka=ELSEWHERE, mongodb=ELSEWHERE, num_cpus=1):
        started = list(descendants() - before)
        next(process for process in started if process.name() == "gcs_server").kill()
        assert await ended(started)
