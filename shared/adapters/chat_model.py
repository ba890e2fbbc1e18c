"""The ChatModel port over any server that speaks OpenAI's chat completions.

Neither the key nor a word of a request or a reply reaches a log or an error: servers like to quote
what they refuse, so of their errors only the status and the code are told.
"""

import asyncio
from contextlib import suppress
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from shared.chat.ports import ChatCall, ChatRejected, ChatReply, ChatUnavailable
from shared.domain.chat_calls import Outcome

# Statuses that say nothing of this one request: wrong key, address or model, or no money left.
_EVERY = frozenset({401, 402, 403, 404, 405})
# Newer models take another name for the limit, and some fix the others.
_RENAMED = {"max_tokens": "max_completion_tokens"}
_DISPENSABLE = frozenset({"temperature", "seed"})
_ENDINGS = {
    "stop": Outcome.ANSWERED,
    "length": Outcome.CUT_OFF,
    "content_filter": Outcome.DECLINED,
}


class OpenAIChat:
    """Implements ``ChatModel``: one HTTP request for each call, temperature 0.

    ``base_url`` must hold no password or query: HTTP clients log addresses.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._model = model
        self._timeout = timeout_seconds
        self._refused: set[str] = set()
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=timeout_seconds,
            transport=transport,
            # Plain HTTP: a proxy named in the environment must not see the key.
            trust_env=base_url.startswith("https://"),
        )

    @property
    def name(self) -> str:
        return self._model

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def complete(self, call: ChatCall) -> ChatReply:
        """One request, one reply. Raises ChatUnavailable, ChatRejected."""
        answer = await self._post(call)
        while self._adapts_to(answer):
            answer = await self._post(call)
        if answer.is_success:
            return self._reply(answer)
        raise self._error(answer)

    async def _post(self, call: ChatCall) -> httpx.Response:
        try:
            # httpx limits each read; a server that trickles would be waited for without end.
            async with asyncio.timeout(self._timeout):
                return await self._http.post("/chat/completions", json=self._body(call))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ChatUnavailable(
                f"{self._where} cannot be reached ({type(error).__name__}): "
                "check PIONEER_LLM_BASE_URL",
                outcome=Outcome.UNREACHABLE,
            ) from None
        except (TimeoutError, httpx.TransportError) as error:
            raise ChatUnavailable(
                f"{self._where} did not answer within {self._timeout:g} s "
                f"({type(error).__name__}): raise PIONEER_LLM_TIMEOUT_SECONDS if it is only slow",
                outcome=Outcome.TIMEOUT,
            ) from None

    def _body(self, call: ChatCall) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": call.system},
                {"role": "user", "content": call.user},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": call.schema_name, "strict": True, "schema": call.schema},
            },
            "max_tokens": call.max_tokens,
            "temperature": 0,
            "seed": call.seed,
        }
        for name in self._refused:
            value = body.pop(name)
            if name in _RENAMED:
                body[_RENAMED[name]] = value
        return body

    def _adapts_to(self, answer: httpx.Response) -> bool:
        """Whether the server refused a parameter that can be left out, from now on."""
        if answer.status_code not in (400, 422):
            return False
        name = str(_error_fields(answer).get("param"))
        if name in self._refused or name not in _RENAMED.keys() | _DISPENSABLE:
            return False
        self._refused.add(name)
        return True

    def _reply(self, answer: httpx.Response) -> ChatReply:
        try:
            completion = _Completion.model_validate_json(answer.content)
            choice = completion.choices[0]
        except (ValidationError, IndexError):
            raise ChatUnavailable(
                f"{self._where} answered something else than a chat completion: "
                "check PIONEER_LLM_BASE_URL",
                outcome=Outcome.SERVER_ERROR,
            ) from None
        usage = completion.usage or _Usage()
        declined = choice.message.refusal or choice.message.content is None
        ending = _ENDINGS.get(choice.finish_reason or "stop", Outcome.ANSWERED)
        return ChatReply(
            text=choice.message.content or "",
            outcome=Outcome.DECLINED if declined and ending is Outcome.ANSWERED else ending,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )

    def _error(self, answer: httpx.Response) -> ChatUnavailable | ChatRejected:
        status = answer.status_code
        code = _error_fields(answer).get("code")
        # Only plain code words: a code could quote the request, or the key.
        told = f"{status} {code}" if isinstance(code, str) and code.isidentifier() else f"{status}"
        if status in (408, 429) or status >= 500:
            # A quota that is used up is told as 429 too; waiting does not fill it.
            if code == "insufficient_quota":
                return ChatRejected(f"{self._where}: {told}, pay or wait", every=True)
            return ChatUnavailable(
                f"{self._where}: {told}",
                outcome=Outcome.BUSY if status == 429 else Outcome.SERVER_ERROR,
                retry_after=_retry_after(answer),
            )
        every = status in _EVERY or status < 400
        remedy = ": check PIONEER_LLM_BASE_URL, _MODEL and _API_KEY" if every else ""
        return ChatRejected(f"{self._where} refused: {told}{remedy}", every=every)

    @property
    def _where(self) -> str:
        return f"chat model {self._model!r} at {self._http.base_url.host}"


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


def _error_fields(answer: httpx.Response) -> dict[str, Any]:
    with suppress(ValueError):
        body = answer.json()
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict):
            return error
    return {}


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds the server asks to wait; a date instead of a number is not heeded."""
    try:
        return max(0.0, float(answer.headers.get("retry-after", "")))
    except ValueError:
        return None
