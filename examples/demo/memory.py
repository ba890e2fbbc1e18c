"""Memory of this process and everything it started, sampled while the demo runs."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import psutil

SECONDS = 0.5


class PeakMemory:
    """The highest sum of resident sets seen, in MB. Shared pages count once for each process."""

    def __init__(self) -> None:
        self.megabytes = 0.0

    @asynccontextmanager
    async def sampling(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _sample(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, await asyncio.to_thread(_tree_megabytes))
            await asyncio.sleep(SECONDS)


def _tree_megabytes() -> float:
    root = psutil.Process(os.getpid())
    total = 0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            total += process.memory_info().rss
    return total / 1e6
