"""A client of the serving example: traffic with known answers, and questions for the test."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import httpx

from examples.demo.workload import Example
from shared.domain.ids import derive_id
from shared.errors import TransientError

BATCH = 32


class ServingClient:
    """Speaks HTTP to the serving example."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)

    async def wait_for_version(self, version: int, *, seconds: float) -> None:
        """Return once this version answers. Raises TransientError when it does not in time."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            try:
                answer = await self._http.get("/v1/model")
                if answer.is_success and answer.json().get("version") == version:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)
        raise TransientError(f"serving did not take version {version} within {seconds:.0f} s")

    async def send_traffic(self, examples: Sequence[Example]) -> float:
        """Requests whose right answers production comes to know; the share answered right."""
        return _right(examples, await self.answers(examples, log=True))

    async def accuracy(self, examples: Sequence[Example]) -> float:
        """Accuracy on rows that leave no trace in the log."""
        return _right(examples, await self.answers(examples, log=False))

    async def answers(self, examples: Sequence[Example], *, log: bool) -> list[str]:
        """The outputs in order; with ``log`` they are traces, with the labels as references."""
        found: list[str] = []
        for begin in range(0, len(examples), BATCH):
            batch = examples[begin : begin + BATCH]
            body: dict[str, object] = {"input": [e.text for e in batch], "log": log}
            if log:
                body["reference"] = [e.label for e in batch]
                body["id"] = [trace_id(e) for e in batch]
            answer = await self._http.post("/v1/classify", json=body)
            answer.raise_for_status()
            found += [result["output"] for result in answer.json()]
        return found

    async def aclose(self) -> None:
        await self._http.aclose()


def trace_id(example: Example) -> str:
    """The same data gives the same traces, so that a story can be repeated."""
    return derive_id("demo", example.text)


def _right(examples: Sequence[Example], answers: Sequence[str]) -> float:
    pairs = zip(examples, answers, strict=True)
    return sum(example.label == answer for example, answer in pairs) / len(examples)
