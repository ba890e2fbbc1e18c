"""The embedded stack: broker, database and Ray head of one machine, started from PyPI packages."""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from shared.local.broker import Broker
from shared.local.database import Database
from shared.local.processes import LocalStackError, Ports, Process
from shared.local.ray_head import RayHead

START_TIMEOUT = 90.0
# An owner that was killed leaves guards that are still stopping their parts; they hold the lock.
LOCK_TIMEOUT = 30.0


@dataclass(frozen=True)
class Endpoints:
    """Where the parts answer."""

    kafka: str
    """Bootstrap address, `host:port`."""
    mongodb: str
    """Connection string, `mongodb://host:port`."""
    ray: str
    """Address of the Jobs API, `http://host:port`."""


@dataclass(frozen=True)
class Embedded:
    """Which parts the stack starts itself."""

    kafka: bool
    mongodb: bool
    ray: bool


class LocalStack:
    """Starts the parts without a given address, keeps their data below home, stops them."""

    ports: Ports
    broker: Broker
    database: Database
    ray_head: RayHead

    def __init__(
        self,
        home: Path,
        *,
        kafka: str | None = None,
        mongodb: str | None = None,
        ray: str | None = None,
        durable_broker: bool = False,
        num_cpus: int | None = None,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self.home = home.resolve()
        self._given = (kafka, mongodb, ray)
        self.embeds = Embedded(not kafka, not mongodb, not ray)
        self._durable_broker = durable_broker
        self._num_cpus = num_cpus
        self._timeout = start_timeout
        self._lock = -1

    async def __aenter__(self) -> Endpoints:
        """Start all parts at once; on any failure none is left."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = await _lock(self.home)
        self.ports = ports = Ports(self.home / "local.json")
        self.broker = Broker(self.home, ports, self._lock, durable=self._durable_broker)
        self.database = Database(self.home, ports, self._lock)
        self.ray_head = RayHead(self.home, ports, self._lock, num_cpus=self._num_cpus)
        started = False
        try:
            endpoints = await self._start()
            started = True
        finally:
            if not started:
                await self.close()
        return endpoints

    def process(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Process:
        """A process of ours beside the parts: it logs with them and never outlives this one."""
        return Process(name, command, self.home / "logs" / f"{name}.log", self._lock, environment)

    def dead_parts(self) -> list[str]:
        """The parts that were started here and have ended by themselves."""
        parts = {
            "broker": self.embeds.kafka and not self.broker.running,
            "database": self.embeds.mongodb and not self.database.running,
            "ray": self.embeds.ray and not self.ray_head.running,
        }
        return [name for name, dead in parts.items() if dead]

    async def _start(self) -> Endpoints:
        kafka, mongodb, ray = self._given
        starts = (
            _given(kafka) if kafka else self.broker.start(self._timeout),
            _given(mongodb) if mongodb else self.database.start(self._timeout),
            _given(ray) if ray else self.ray_head.start(self._timeout),
        )
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_awaited(start)) for start in starts]
        except ExceptionGroup as failures:
            # One dead part is the news; that the others were cancelled is not.
            raise failures.exceptions[0] from None
        return Endpoints(*(task.result() for task in tasks))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop every part that runs; return when none of their processes is left."""
        try:
            # Ray first: its jobs write to the database until they end.
            await self.ray_head.stop()
            await asyncio.gather(self.broker.stop(), self.database.stop())
        finally:
            os.close(self._lock)


async def _given(address: str) -> str:
    return address


async def _awaited(start: Awaitable[str]) -> str:
    return await start


async def _lock(home: Path) -> int:
    """Take this home for one stack; wait for the end of a stack whose owner is gone."""
    descriptor = os.open(home / "local.lock", os.O_RDWR | os.O_CREAT, 0o600)
    locked = False
    try:
        async with asyncio.timeout(LOCK_TIMEOUT):
            while not _try_lock(descriptor):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        locked = True
    except TimeoutError as error:
        raise LocalStackError(
            f"{home} is in use by another local stack: stop it, or choose another folder"
        ) from error
    finally:
        if not locked:
            os.close(descriptor)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
