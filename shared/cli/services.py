"""``pioneer run`` and ``pioneer up``."""

import asyncio
import importlib
import os
import signal
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
import uvicorn

from shared.cli.environment import forget, home, remember
from shared.logs import configure_logs
from shared.settings import load_settings


def run(
    service: Annotated[str, typer.Argument(help="diagnoser, synthesizer, trainer, …")],
) -> None:
    """Run one service in this process, with its settings from the environment."""
    # By name: the shared layer must not import the services above it.
    services: Any = importlib.import_module("services")
    kind, create_app = services.load(service)
    settings = load_settings(kind)
    configure_logs(service, level=settings.log_level, style=settings.log_format)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.http_host,
        port=settings.http_port or services.SERVICES[service].http_port,
        log_config=None,
        access_log=False,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    server.run()
    if not server.started:
        sys.exit(3)


def up() -> None:
    """Start the parts whose addresses are not set, all five services, and keep them running."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_up())


async def _up() -> None:
    from shared.local import LocalStack, LocalStackError
    from shared.local.services import ServiceProcesses, service_environment

    folder = home()
    stack = LocalStack(
        folder,
        kafka=os.environ.get("KAFKA_BOOTSTRAP_SERVERS"),
        mongodb=os.environ.get("MONGODB_URI"),
        ray=os.environ.get("RAY_ADDRESS"),
        durable_broker=True,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    typer.echo(f"starting the parts, data and logs below {folder} …")
    async with stack as endpoints:
        variables = service_environment(stack, endpoints)
        async with ServiceProcesses(stack, variables) as services:
            file = remember(variables)
            typer.echo(f"ready: {', '.join(services.names)}. Addresses: {file}. Ctrl-C stops all.")
            try:
                async with asyncio.TaskGroup() as group:
                    supervised = group.create_task(services.keep_running())
                    await stopped.wait()
                    supervised.cancel()
            except* LocalStackError as dead:
                raise dead.exceptions[0] from None
            finally:
                forget()
            typer.echo("stopping …")
