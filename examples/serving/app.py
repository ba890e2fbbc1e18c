"""The HTTP routes: classify, feedback, what is served, health."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.serving.bodies import (
    ClassifyRequest,
    FeedbackRequest,
    Refused,
    asked,
    check_answer,
    read_body,
)
from examples.serving.server import Server
from shared.errors import PermanentError, TransientError
from shared.events import FeedbackGiven


def create_app(server: Server) -> Starlette:
    """The routes over a server; its parts run as long as the app does."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with server.running():
            yield

    routes = Routes(server)
    return Starlette(
        routes=[
            Route("/v1/classify", routes.classify, methods=["POST"]),
            Route("/v1/feedback", routes.feedback, methods=["POST"]),
            Route("/v1/model", routes.model),
            Route("/health/live", routes.live),
            Route("/health/ready", routes.ready),
        ],
        exception_handlers={
            HTTPException: _http_error,
            Refused: _error,
            TransientError: _error,
            PermanentError: _error,
        },
        lifespan=lifespan,
    )


class Routes:
    """Each route: decode, ask the server, encode."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def classify(self, request: Request) -> Response:
        limits = self._server.settings
        body = await read_body(request, ClassifyRequest, max_bytes=limits.max_body_bytes)
        texts = asked(body, max_inputs=limits.max_inputs, max_text_chars=limits.max_text_chars)
        answers = await self._server.classify(texts, log=body.log)
        return JSONResponse(answers if isinstance(body.input, list) else answers[0])

    async def feedback(self, request: Request) -> Response:
        server = self._server
        limit = server.settings.max_body_bytes
        body = await read_body(request, FeedbackRequest, max_bytes=limit)
        if served := server.switch.current:
            check_answer("corrected_output", body.corrected_output, served.task)
        given = FeedbackGiven(id=str(uuid4()), model=server.settings.model, **body.model_dump())
        await server.traces.send_feedback(given)
        return JSONResponse({"feedback_id": given.id}, 202)

    async def model(self, _: Request) -> Response:
        return JSONResponse(self._server.describe())

    async def live(self, _: Request) -> Response:
        ended = self._server.ended_task()
        return PlainTextResponse(f"{ended} has ended" if ended else "ok", 503 if ended else 200)

    async def ready(self, _: Request) -> Response:
        problem = self._server.why_not_ready()
        return PlainTextResponse(problem or "ok", 503 if problem else 200)


async def _error(_: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return JSONResponse({"error": str(error)}, error.status)
    if isinstance(error, TransientError):
        return JSONResponse({"error": str(error)}, 503, {"Retry-After": "1"})
    return JSONResponse({"error": str(error)}, 500)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
