"""Asks a deployed model over HTTP: ``POST {endpoint}/classify`` with a list of texts.

The same bodies as the example server's. ``log`` is false: a probe must never become traffic.
"""

from collections.abc import Mapping, Sequence

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.errors import BadInput, TransientError

_TEXTS_IN_A_REQUEST = 64
_LATER = frozenset({408, 425, 429})


class _Answer(BaseModel):
    output: str
    model_version: int


_ANSWERS = TypeAdapter(list[_Answer])


class HttpEndpoint:
    """One deployed model's endpoint, such as ``http://host:8200/v1``."""

    def __init__(
        self,
        endpoint: str,
        *,
        seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = f"{endpoint.rstrip('/')}/classify"
        self._seconds = seconds
        self._transport = transport

    async def outputs(self, texts: Mapping[str, str], *, version: int) -> dict[str, str]:
        """The answers of version ``version`` by the texts' ids.

        Raises TransientError when the server is away, busy or serves another version by now, and
        BadInput when it refuses the texts or answers something else.
        """
        ids, answers = list(texts), dict[str, str]()
        async with httpx.AsyncClient(timeout=self._seconds, transport=self._transport) as client:
            for start in range(0, len(ids), _TEXTS_IN_A_REQUEST):
                part = ids[start : start + _TEXTS_IN_A_REQUEST]
                given = await self._ask(client, [texts[id_] for id_ in part], version)
                answers.update(zip(part, given, strict=True))
        return answers

    async def _ask(
        self, client: httpx.AsyncClient, texts: Sequence[str], version: int
    ) -> list[str]:
        try:
            response = await client.post(self._url, json={"input": list(texts), "log": False})
        except httpx.TransportError as error:
            raise TransientError(f"{self._url} cannot be reached: {error!r}") from error
        status = response.status_code
        if status >= 500 or status in _LATER:
            raise TransientError(f"{self._url} answered {status}: {response.text[:200]}")
        if status != 200:
            raise BadInput(
                f"{self._url} refused {len(texts)} texts, {status}: {response.text[:200]}"
            )
        return self._read(response, len(texts), version)

    def _read(self, response: httpx.Response, count: int, version: int) -> list[str]:
        try:
            answers = _ANSWERS.validate_json(response.content)
        except ValidationError as error:
            raise BadInput(f"{self._url} answered no list of answers: {error}") from None
        if len(answers) != count:
            raise BadInput(f"{self._url} gave {len(answers)} answers to {count} texts")
        if other := {answer.model_version for answer in answers} - {version}:
            raise TransientError(f"{self._url} serves version {min(other)}, not {version}")
        return [answer.output for answer in answers]
