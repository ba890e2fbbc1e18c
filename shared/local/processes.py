"""Starts, watches and ends the processes of the embedded stack."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from shared.errors import PermanentError

LOOPBACK = "127.0.0.1"
TAIL_LINES = 15
POLL_SECONDS = 0.05
# Below the range of outgoing connections, so a kept port is rarely taken meanwhile.
PORT_RANGE = (20_000, 32_000)


class LocalStackError(PermanentError):
    """A part of the embedded stack cannot do what was asked of it."""


def is_free(port: int) -> bool:
    """Whether a server may listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class Ports:
    """Ports by name, kept in a file so that a restart listens where clients expect it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def take(self, name: str) -> int:
        """The port kept under this name if it is free, else a new one, kept from now on."""
        kept = self._kept.get(name)
        if kept is not None and is_free(kept):
            return kept
        used = set(self._kept.values())
        # Never seeded: two stacks that start together must not try the same ports.
        candidates = random.SystemRandom().sample(range(*PORT_RANGE), k=200)
        port = next((port for port in candidates if port not in used and is_free(port)), None)
        if port is None:
            raise LocalStackError(
                f"no free port for {name!r} in {PORT_RANGE}: stop some servers on {LOOPBACK}"
            )
        self._kept[name] = port
        self._file.write_text(json.dumps(self._kept, indent=2, sort_keys=True) + "\n")
        return port


@dataclass
class Process:
    """One part as an own process tree behind a guard; it never outlives this process."""

    name: str
    command: Sequence[str]
    log: Path
    lock: int
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    grace: float = 10.0
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _lifeline: socket.socket | None = field(default=None, init=False)

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start the command; its output is appended to the log."""
        if self.running:
            raise LocalStackError(
                f"{self.name} is already running: stop it before starting it again"
            )
        guard = Path(__file__).with_name("guard.py")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._lifeline, guards_end = socket.socketpair()
        with self.log.open("ab") as log, guards_end:
            self._guard = self._spawn(log, guard, guards_end)

    def _spawn(
        self, log: IO[bytes], guard: Path, lifeline: socket.socket
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                str(guard),
                str(self.grace),
                str(self.lock),
                *self.command,
            ],
            stdin=lifeline.fileno(),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.environment},
            pass_fds=(self.lock,),
            # Ctrl-C goes to the whole foreground group; the parts are stopped by us, in order.
            start_new_session=True,
        )

    @property
    def handed_over(self) -> bool:
        """Whether the command has ended well and left its daemons to the guard."""
        if self._lifeline is None:
            return False
        try:
            return bool(self._lifeline.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False

    async def stop(self) -> None:
        """Terminate, wait, kill: afterwards no process of this part is left."""
        if self._guard is None:
            return
        self._cut()
        await self._ended()

    def _cut(self) -> None:
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None

    async def kill(self) -> None:
        """End the part as `kill -9` would, without a chance to tidy up."""
        if self._guard is None:
            return
        if self._guard.poll() is None:
            self._guard.send_signal(signal.SIGUSR1)
        await self._ended()

    async def _ended(self) -> None:
        assert self._guard is not None
        async with asyncio.timeout(self.grace + 10):
            while self._guard.poll() is None:  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
        self._cut()
        self._guard = None

    def tail(self) -> str:
        """The last lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    async def ready(self, answers: Callable[[], Awaitable[bool]], within: float) -> None:
        """Return once the part answers; report its death or silence with the end of its log."""
        try:
            async with asyncio.timeout(within):
                while not await answers():
                    if not self.running:
                        raise LocalStackError(
                            f"{self.name} died at start; the end of {self.log}:\n{self.tail()}"
                        )
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise LocalStackError(
                f"{self.name} did not answer within {within:g} s; "
                f"the end of {self.log}:\n{self.tail()}"
            ) from error
