"""The chat model over HTTP: what is sent, what comes back, and what is never told."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.adapters.chat_model import OpenAIChat
from shared.chat.ports import ChatCall, ChatRejected, ChatReply, ChatUnavailable
from shared.domain.chat_calls import Outcome
from shared.errors import TransientError

KEY = "sk-very-secret"
TEXT = "my card number is 4111"
CALL = ChatCall("system", f"user {TEXT}", "verdict", {"type": "object"}, max_tokens=50, seed=2)
Handler = Callable[[httpx.Request], httpx.Response]


def chat(handler: Handler) -> OpenAIChat:
    return OpenAIChat(
        "https://llm.example/v1/",
        "m",
        api_key=KEY,
        timeout_seconds=5,
        transport=httpx.MockTransport(handler),
    )


def completion(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> Handler:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return lambda _: httpx.Response(200, json={"choices": [choice], **more})


async def test_the_request_is_a_chat_completion_with_a_schema() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return completion({"content": "{}"})(request)

    await chat(answer).complete(CALL)
    assert str(asked[0].url).endswith("llm.example/v1/chat/completions")
    assert json.loads(asked[0].content) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "system"},
            {"role": "user", "content": f"user {TEXT}"},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": {"type": "object"}},
        },
        "max_tokens": 50,
        "temperature": 0,
        "seed": 2,
    }


async def test_the_key_travels_in_its_header_only() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return completion({"content": "{}"})(request)

    await chat(answer).complete(CALL)
    assert asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(asked[0].url)
    assert KEY not in asked[0].content.decode()


USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"content": "{}"}, "stop", ChatReply("{}", Outcome.ANSWERED, 7, 3)),
        ({"content": "{}"}, None, ChatReply("{}", Outcome.ANSWERED, 7, 3)),
        ({"content": "{"}, "length", ChatReply("{", Outcome.CUT_OFF, 7, 3)),
        ({"content": None}, "length", ChatReply("", Outcome.CUT_OFF, 7, 3)),
        ({"content": ""}, "content_filter", ChatReply("", Outcome.DECLINED, 7, 3)),
        ({"content": None, "refusal": "no"}, "stop", ChatReply("", Outcome.DECLINED, 7, 3)),
    ],
)
async def test_endings_are_told_apart(
    message: dict[str, Any], finish: str | None, expected: ChatReply
) -> None:
    assert await chat(completion(message, finish, usage=USAGE)).complete(CALL) == expected


async def test_a_server_that_does_not_count_is_believed() -> None:
    reply = await chat(completion({"content": "{}"})).complete(CALL)
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)


def quoting(status: int, code: str | None = None, **headers: str) -> Handler:
    """A server that quotes request and key in its refusal, as some do."""

    def answer(request: httpx.Request) -> httpx.Response:
        words = f"{KEY} {request.content.decode()}"
        error = {"message": words, "type": words, "param": words, "code": code or words}
        return httpx.Response(status, json={"error": error}, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (408, Outcome.SERVER_ERROR),
        (429, Outcome.BUSY),
        (500, Outcome.SERVER_ERROR),
        (503, Outcome.SERVER_ERROR),
    ],
)
async def test_what_may_pass_is_unavailable(status: int, outcome: Outcome) -> None:
    with pytest.raises(ChatUnavailable, match=str(status)) as told:
        await chat(quoting(status, **{"retry-after": "7"})).complete(CALL)
    assert told.value.outcome is outcome
    assert told.value.retry_after == 7
    assert isinstance(told.value, TransientError)


@pytest.mark.parametrize("value", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "nan", "-1"])
async def test_a_strange_retry_after_is_harmless(value: str) -> None:
    with pytest.raises(ChatUnavailable) as told:
        await chat(quoting(429, **{"retry-after": value})).complete(CALL)
    assert told.value.retry_after in (None, 0)


@pytest.mark.parametrize(
    ("status", "every"),
    [(400, False), (413, False), (422, False), (307, True), (401, True), (403, True), (404, True)],
)
async def test_what_will_not_pass_is_rejected(status: int, every: bool) -> None:
    with pytest.raises(ChatRejected, match=str(status)) as told:
        await chat(quoting(status)).complete(CALL)
    assert told.value.every is every


async def test_a_used_up_quota_is_not_waited_for() -> None:
    with pytest.raises(ChatRejected, match="insufficient_quota") as told:
        await chat(quoting(429, "insufficient_quota")).complete(CALL)
    assert told.value.every


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx.ConnectError("refused"), Outcome.UNREACHABLE),
        (httpx.ConnectTimeout("slow"), Outcome.UNREACHABLE),
        (httpx.ReadTimeout("slow"), Outcome.TIMEOUT),
        (httpx.RemoteProtocolError("cut"), Outcome.TIMEOUT),
    ],
)
async def test_lost_connections_are_unavailable(error: Exception, outcome: Outcome) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(ChatUnavailable) as told:
        await chat(answer).complete(CALL)
    assert told.value.outcome is outcome


async def test_a_server_that_trickles_is_not_waited_for_without_end() -> None:
    class Trickle(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError("never")

    model = OpenAIChat("http://llm", "m", timeout_seconds=0.05, transport=Trickle())
    with pytest.raises(ChatUnavailable, match="PIONEER_LLM_TIMEOUT_SECONDS") as told:
        await model.complete(CALL)
    assert told.value.outcome is Outcome.TIMEOUT


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"choices": []}', b'{"choices": 1}'])
async def test_something_else_than_a_completion_is_unavailable(body: bytes) -> None:
    with pytest.raises(ChatUnavailable, match="PIONEER_LLM_BASE_URL"):
        await chat(lambda _: httpx.Response(200, content=body)).complete(CALL)


async def test_parameters_that_a_model_does_not_take_are_left_out_from_then_on() -> None:
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        bodies.append(body)
        for name in ("max_tokens", "temperature"):
            if name in body:
                error = {"message": "no", "param": name, "code": "unsupported_parameter"}
                return httpx.Response(400, json={"error": error})
        return completion({"content": "{}"})(request)

    model = chat(answer)
    await model.complete(CALL)
    await model.complete(CALL)
    assert len(bodies) == 4
    assert bodies[-1]["max_completion_tokens"] == 50
    assert bodies[-1].keys() & {"max_tokens", "temperature"} == set()
    assert bodies[-1]["seed"] == 2


async def test_a_refusal_that_nothing_can_mend_ends() -> None:
    error = {"message": "no", "param": "seed", "code": "unsupported_parameter"}
    with pytest.raises(ChatRejected):
        await chat(lambda _: httpx.Response(400, json={"error": error})).complete(CALL)


@pytest.mark.parametrize("status", [200, 307, 400, 401, 404, 429, 500])
async def test_neither_key_nor_text_is_told(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((ChatUnavailable, ChatRejected)) as told:
        await chat(quoting(status)).complete(CALL)
    # A traceback would show the cause, or the context unless it is suppressed.
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__ or told.value.__context__ is None
    shown = f"{caplog.text} {told.value!r} {chat(quoting(200))!r}"
    assert KEY not in shown
    assert "4111" not in shown
