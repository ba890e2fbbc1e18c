"""Composition root of the verifier: settings → adapters → FastStream app."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from faststream.asgi import AsgiFastStream

from services.verifier.answer_judge import AnswerJudge
from services.verifier.handlers import VerifierHandlers
from services.verifier.settings import VerifierSettings
from shared.adapters.chat_connect import connect_chat, index_calls
from shared.adapters.kafka import subscribe
from shared.chat.asking import Chat
from shared.domain.evaluation import Limits
from shared.events import CandidatesTrained, RunClosed
from shared.parts import Parts, RealParts, utc_now
from shared.ports import Clock
from shared.service import Loop
from shared.watcher import JobPolicy, JobWatcher

NAME = "verifier"


def create_app(settings: VerifierSettings) -> AsgiFastStream:
    """The service over the real parts."""
    parts = RealParts.connect(settings, service=NAME)
    chat = connect_chat(settings, parts.documents, utc_now)
    loops = wire(settings, parts, utc_now, chat=chat)
    app = parts.app(loops, closing=[chat.aclose] if chat else [])
    app.on_startup(partial(index_calls, parts.documents))
    return app


def wire(
    settings: VerifierSettings, parts: Parts, clock: Clock, *, chat: Chat | None = None
) -> Sequence[Loop]:
    """Connect handlers to topics; returns the loops the service must run."""
    limits = Limits(
        epsilon=settings.epsilon,
        assurance=settings.assurance,
        broken_per_repaired=settings.broken_per_repaired,
    )
    judge = AnswerJudge(chat, parts.documents)
    handlers = VerifierHandlers(parts.publisher, parts.artifacts, limits, judge)
    watcher = JobWatcher(
        service=NAME,
        documents=parts.documents,
        compute=parts.compute,
        clock=clock,
        on_success=handlers.on_evaluated,
        on_failure=handlers.on_failed,
        policy=JobPolicy(settings.job_attempts, timedelta(minutes=settings.job_minutes)),
    )

    async def on_candidates(event: CandidatesTrained) -> None:
        await handlers.on_candidates(event, watcher)

    subscribe(parts.broker, settings, CandidatesTrained, on_candidates, service=NAME)

    async def on_closed(event: RunClosed) -> None:
        await watcher.cancel_run(event.run_id)

    subscribe(parts.broker, settings, RunClosed, on_closed, service=NAME)
    return [Loop("jobs", watcher.step, settings.poll_seconds)]
