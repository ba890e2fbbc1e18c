"""The frame every service stands in: broker, loops, health endpoints, one process."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.kafka import KafkaBroker

from shared.errors import TransientError
from shared.watcher import every

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Loop:
    """Something a service does again and again, besides handling messages."""

    name: str
    step: Callable[[], Awaitable[Any]]
    seconds: float


@dataclass(slots=True)
class Health:
    """Alive until a loop ends, ready when every part answers."""

    checks: Sequence[Check] = ()
    loops: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return not any(loop.done() for loop in self.loops)

    async def problem(self) -> str | None:
        """Why the service is not ready, or None."""
        for check in self.checks:
            try:
                await asyncio.wait_for(check(), timeout=5)
            except (TransientError, TimeoutError, KafkaError) as error:
                return str(error) or type(error).__name__
        return None


def build_app(
    broker: KafkaBroker,
    *,
    loops: Sequence[Loop],
    checks: Sequence[Check],
    on_stop: Callable[[], Awaitable[None]],
) -> AsgiFastStream:
    """A FastStream app with ``/health/live``, ``/health/ready`` and ``/docs/asyncapi``."""
    health = Health(checks=(*checks, lambda: _broker_answers(broker)))

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        yield
        for loop in health.loops:
            loop.cancel()
        await asyncio.gather(*health.loops, return_exceptions=True)
        await on_stop()

    async def start_loops() -> None:
        for loop in loops:
            task = asyncio.create_task(every(loop.seconds, loop.step, name=loop.name))
            task.add_done_callback(lambda done, name=loop.name: _ended(name, done))
            health.loops.append(task)

    return AsgiFastStream(
        broker,
        asgi_routes=_health_routes(health),
        lifespan=lifespan,
        after_startup=[start_loops],
        asyncapi_path="/docs/asyncapi",
        logger=None,
    )


def _health_routes(health: Health) -> list[tuple[str, Any]]:
    @get
    async def live(_: Any) -> AsgiResponse:
        """Whether the process should go on living."""
        return AsgiResponse(
            b"ok" if health.alive else b"a loop has ended", 200 if health.alive else 503
        )

    @get
    async def ready(_: Any) -> AsgiResponse:
        """Whether broker, database and loops are there."""
        problem = await health.problem() if health.alive else "a loop has ended"
        return AsgiResponse((problem or "ok").encode(), 503 if problem else 200)

    return [("/health/live", live), ("/health/ready", ready)]


async def _broker_answers(broker: KafkaBroker) -> None:
    if not await broker.ping(timeout=3):
        raise TransientError("Kafka does not answer")


def _ended(name: str, task: "asyncio.Task[None]") -> None:
    if task.cancelled():
        return
    # A loop ends only by a defect: end the process loudly, its supervisor starts it afresh.
    logger.critical("loop %s ended, stopping the service", name, exc_info=task.exception())
    os.kill(os.getpid(), signal.SIGTERM)
