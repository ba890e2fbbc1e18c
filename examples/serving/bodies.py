"""Request bodies: what is accepted, and the sentence a caller gets for anything else."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
)
from starlette.requests import Request

from shared.domain.tasks import Task
from shared.domain.traces import Verdict
from shared.events import Id
from shared.tasks import behaviour


class Refused(Exception):
    """A request that is answered with a status and a sentence instead."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def _text_or_list(value: Any) -> Any:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError("give a text or a list of texts, none of them empty")
    return value


def _distinct(ids: str | list[str] | None) -> str | list[str] | None:
    if isinstance(ids, list) and len(set(ids)) < len(ids):
        raise ValueError("give each text an id of its own")
    return ids


class ClassifyRequest(BaseModel):
    """One text or a list; ``reference`` and ``id`` then are lists of the same length.

    ``log=false`` leaves no trace: for measurements that the loop must not learn from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[str | list[str], BeforeValidator(_text_or_list)]
    reference: str | list[str | None] | None = None
    id: Annotated[Id | list[Id] | None, AfterValidator(_distinct)] = None
    log: bool = True


class FeedbackRequest(BaseModel):
    """A judgement of one answer. ``human`` supersedes every automatic judgement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trace_id: Id
    verdict: Verdict
    corrected_output: Annotated[str, StringConstraints(min_length=1)] | None = None
    human: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One text of a request, with the id its trace will have."""

    trace_id: str
    text: str
    reference: str | None


def asked(request: ClassifyRequest, *, max_inputs: int, max_text_chars: int) -> list[Asked]:
    """The texts of a request. Raises Refused when they are too many, too long or do not match."""
    single = isinstance(request.input, str)
    texts = [request.input] if isinstance(request.input, str) else request.input
    if len(texts) > max_inputs:
        raise Refused(413, f"input: {len(texts)} texts, at most {max_inputs} in one request")
    if (longest := max(map(len, texts))) > max_text_chars:
        raise Refused(413, f"input: {longest} characters, at most {max_text_chars} in one text")
    references = _matching("reference", request.reference, len(texts), single=single)
    ids = _matching("id", request.id, len(texts), single=single)
    return [
        Asked(trace_id or str(uuid4()), text, reference)
        for trace_id, text, reference in zip(ids, texts, references, strict=True)
    ]


def _matching(name: str, value: Any, length: int, *, single: bool) -> list[str | None]:
    if value is None:
        return [None] * length
    if single != isinstance(value, str) or (not single and len(value) != length):
        wanted = "a single text, as input is" if single else f"a list of {length}, as input is"
        raise Refused(422, f"{name}: give {wanted}")
    return [value] if single else value


Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body], *, max_bytes: int) -> Body:
    """The body as ``kind``. Raises Refused: 413 too large, 400 not JSON, 422 another shape."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise Refused(413, f"the body is larger than {max_bytes} bytes: send fewer texts")
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise Refused(400, f"the body is not JSON: {first['msg']}") from None
        where = str(first["loc"][0]) if first["loc"] else "body"
        problem = first["msg"].removeprefix("Value error, ")
        raise Refused(422, f"{where}: {problem}") from None


def check_answer(name: str, answer: str | None, task: Task, text: str | None = None) -> None:
    """Refuse an answer the served model cannot give; the loop could not learn from it."""
    if answer is not None and (objection := behaviour(task).objection(answer, task, text)):
        raise Refused(422, f"{name}: {objection} of the model")
