"""The five services as processes beside the embedded parts, started again when they die."""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx

from shared.events import TOPICS, dead_letter_topic
from shared.local.broker import ensure_topics
from shared.local.processes import LOOPBACK, LocalStackError, Process
from shared.local.ray_head import ray_client_environment
from shared.local.stack import Endpoints, LocalStack

logger = logging.getLogger(__name__)

NAMES = ("diagnoser", "synthesizer", "trainer", "verifier", "controller")
START_TIMEOUT = 90.0
RESTART_PAUSE = 1.0


def service_environment(stack: LocalStack, endpoints: Endpoints) -> dict[str, str]:
    """What a service needs in its environment to work with a local stack."""
    artifacts = os.environ.get("ARTIFACTS_URI", (stack.home / "artifacts").as_uri())
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": endpoints.kafka,
        "MONGODB_URI": endpoints.mongodb,
        "RAY_ADDRESS": endpoints.ray,
        "ARTIFACTS_URI": artifacts,
    }
    if stack.embeds.ray:
        variables |= ray_client_environment(stack.home)
        variables["PIONEER_RAY_PYTHON"] = sys.executable
    if stack.embeds.kafka:
        # The embedded broker lets a group join only after these have passed.
        variables["KAFKA_SESSION_TIMEOUT_MS"] = "1500"
    return variables


class ServiceProcesses:
    """Runs services as ``pioneer run NAME`` until it is closed."""

    def __init__(
        self,
        stack: LocalStack,
        variables: Mapping[str, str],
        names: Sequence[str] = NAMES,
    ) -> None:
        self.names = tuple(names)
        self._stack = stack
        self._kafka = variables["KAFKA_BOOTSTRAP_SERVERS"]
        self._ports = {name: stack.ports.take(f"http_{name}") for name in names}
        self._processes = {
            name: stack.process(
                name,
                (sys.executable, "-m", "shared.cli", "run", name),
                {**variables, "PIONEER_HTTP_PORT": str(self._ports[name])},
            )
            for name in names
        }

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    async def __aenter__(self) -> Self:
        await ensure_topics(self._kafka, (*TOPICS, *map(dead_letter_topic, TOPICS)))
        try:
            for process in self._processes.values():
                process.start()
            await asyncio.gather(*(self.ready(name) for name in self.names))
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def ready(self, name: str) -> None:
        """Return once a service answers that it is ready. Raises LocalStackError."""
        url = f"http://{LOOPBACK}:{self._ports[name]}/health/ready"
        await self._processes[name].ready(lambda: _answers(url), START_TIMEOUT)

    async def keep_running(self) -> None:
        """Start a service again whenever it has died, for ever.

        Raises LocalStackError when a part has died: its address must not change under the others.
        """
        while True:
            await asyncio.sleep(RESTART_PAUSE)
            if dead := self._stack.dead_parts():
                logs = self._stack.home / "logs"
                raise LocalStackError(f"{', '.join(dead)} died, see {logs}: start again")
            for name, process in self._processes.items():
                if not process.running:
                    logger.error("%s died, starting it again:\n%s", name, process.tail())
                    await process.stop()
                    process.start()

    async def close(self) -> None:
        """Stop all services at once."""
        await asyncio.gather(*(process.stop() for process in self._processes.values()))


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=6, trust_env=False) as client:
            return (await client.get(url)).is_success
    except httpx.TransportError:
        return False
