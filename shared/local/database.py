"""The embedded database: secantusd-rs, an own process that keeps what it acknowledged."""

import importlib.metadata
import os
from pathlib import Path

from shared.adapters import mongo
from shared.errors import TransientError
from shared.local.processes import LOOPBACK, LocalStackError, Ports, Process

BINARY = "secantusd-rs"


class Database:
    """A database on a loopback port with its files below home."""

    def __init__(self, home: Path, ports: Ports, lock: int) -> None:
        self._ports = ports
        self._files = home / "database"
        self._process = Process("database", (), home / "logs" / "database.log", lock)

    async def start(self, within: float) -> str:
        """Start and return the connection string once the database answers a ping."""
        self._files.mkdir(parents=True, exist_ok=True)
        port = self._ports.take("mongodb")
        self._process.command = (
            str(secantusd()),
            f"--host={LOOPBACK}",
            f"--port={port}",
            f"--storage-path={self._files}",
            # Without it a kill loses acknowledged writes.
            "--sync-on-commit",
            "--cache-size=256M",
            "--log-file-max=128MB",
            "--log-level=WARNING",
        )
        self._process.start()
        address = f"mongodb://{LOOPBACK}:{port}"
        await self._process.ready(lambda: _answers(address), within)
        return address

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process.running

    async def stop(self) -> None:
        """Stop the database in order."""
        await self._process.stop()

    async def kill(self) -> None:
        """End the database as `kill -9` would."""
        await self._process.kill()


def secantusd() -> Path:
    """The database binary of the installed wheel, found without importing the GPL package."""
    try:
        files = importlib.metadata.files("secantusdb") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise LocalStackError(
            "secantusdb is not installed: pip install secantusdb==0.6.0b17"
        ) from error
    # The wheel also has a launcher script of this name, many times smaller.
    found = [Path(str(file.locate())) for file in files if file.name == BINARY]
    binary = max(found, key=lambda path: path.stat().st_size, default=None)
    if binary is None or not os.access(binary, os.X_OK):
        raise LocalStackError(
            f"secantusdb has no executable {BINARY}: install exactly secantusdb==0.6.0b17"
        )
    return binary


async def _answers(address: str) -> bool:
    documents = mongo.connect(address, "admin", patience_ms=200)
    try:
        await documents.ping()
    except TransientError:
        return False
    finally:
        documents.close()
    return True
