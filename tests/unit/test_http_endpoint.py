"""A deployed model is asked in parts, leaves no trace, and every refusal has its kind."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from services.diagnoser.adapters.http_endpoint import HttpEndpoint
from shared.errors import BadInput, TransientError

TEXTS = {f"p{at}": f"text {at}" for at in range(150)}


@dataclass
class Serving:
    """A server of the example's protocol: answers each text with its last word."""

    version: int = 3
    status: int = 200
    body: bytes | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        raw, more = b"", True
        while more:
            message = await receive()
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        request = json.loads(raw)
        self.asked.append((scope["path"], request))
        answers = [
            {"output": text.split()[-1], "confidence": 0.5, "model_version": self.version}
            for text in request["input"]
        ]
        body = json.dumps(answers).encode() if self.body is None else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def ask(serving: Serving, url: str = "http://desk:8200/v1") -> dict[str, str]:
    endpoint = HttpEndpoint(url, transport=httpx.ASGITransport(serving))
    return await endpoint.outputs(TEXTS, version=3)


@pytest.mark.parametrize("url", ["http://desk:8200/v1", "http://desk:8200/v1/"])
async def test_every_text_is_asked_once_and_none_becomes_traffic(url: str) -> None:
    serving = Serving()
    assert await ask(serving, url) == {f"p{at}": str(at) for at in range(150)}
    assert {path for path, _ in serving.asked} == {"/v1/classify"}
    assert [text for _, body in serving.asked for text in body["input"]] == [*TEXTS.values()]
    assert max(len(body["input"]) for _, body in serving.asked) <= 64
    assert all(body["log"] is False for _, body in serving.asked)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_server_is_asked_again_later(status: int) -> None:
    with pytest.raises(TransientError, match=str(status)):
        await ask(Serving(status=status))


async def test_another_version_is_no_answer() -> None:
    with pytest.raises(TransientError, match="serves version 4, not 3"):
        await ask(Serving(version=4))


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        (Serving(status=404, body=b"no such path"), "no such path"),
        (Serving(body=b"<html>"), "no list of answers"),
        (Serving(body=b"[]"), "0 answers to 64 texts"),
    ],
)
async def test_what_is_no_such_endpoint_never_will_be(serving: Serving, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        await ask(serving)


async def test_a_server_that_is_away_is_asked_again_later() -> None:
    with pytest.raises(TransientError, match="cannot be reached"):
        # Port 9 is the discard service, which nothing here runs.
        await HttpEndpoint("http://127.0.0.1:9", seconds=2).outputs({"p": "t"}, version=1)
