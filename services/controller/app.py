"""Composition root of the controller: settings → adapters → FastStream app."""

from collections.abc import Sequence
from functools import partial

from faststream.asgi import AsgiFastStream
from pydantic import TypeAdapter

from services.controller.advising import Advice
from services.controller.domain.budget import Budget
from services.controller.domain.moves import RecipeGrid
from services.controller.domain.refusal import Refusal
from services.controller.domain.registry import ModelRecord
from services.controller.domain.run import Run
from services.controller.domain.search import SearchPolicy
from services.controller.handlers import ControllerHandlers
from services.controller.leases import Leases
from services.controller.ledger import Ledger
from services.controller.runs import Runs
from services.controller.settings import ControllerSettings
from shared.adapters.chat_connect import connect_chat, index_calls
from shared.adapters.kafka import subscribe
from shared.chat.asking import Chat
from shared.domain.evaluation import Limits
from shared.events import (
    CandidatesVerified,
    FailuresDiagnosed,
    ModelRegistered,
    RollbackRequested,
    StepFailed,
    TaskPrepared,
    TaskRefused,
)
from shared.parts import Parts, RealParts, utc_now
from shared.ports import Clock
from shared.service import Loop

NAME = "controller"


def create_app(settings: ControllerSettings) -> AsgiFastStream:
    """The service over the real parts."""
    parts = RealParts.connect(settings, service=NAME)
    chat = connect_chat(settings, parts.documents, utc_now)
    loops = wire(settings, parts, utc_now, chat=chat)
    app = parts.app(loops, closing=[chat.aclose] if chat else [])
    app.on_startup(partial(index_calls, parts.documents))
    return app


def wire(
    settings: ControllerSettings, parts: Parts, clock: Clock, *, chat: Chat | None = None
) -> Sequence[Loop]:
    """Connect handlers to topics; returns the loops the service must run."""
    models = Ledger(parts.documents, parts.publisher, "models", TypeAdapter(ModelRecord))
    runs = Runs(
        Ledger(parts.documents, parts.publisher, "runs", TypeAdapter(Run)),
        models,
        Leases(parts.documents),
        clock,
        limits=Limits(
            epsilon=settings.epsilon,
            target=settings.target,
            broken_per_repaired=settings.broken_per_repaired,
        ),
        budget=Budget(
            settings.max_iterations,
            settings.max_minutes,
            trainings=settings.max_trainings,
            gpu_seconds=settings.max_gpu_seconds,
            money=settings.max_money,
            hour_price=settings.hour_price,
            refit=settings.refit,
        ),
        search=SearchPolicy(configurations=settings.configurations),
        recipes=RecipeGrid(bases=settings.bases, four_bit=settings.four_bit),
        least_failures=settings.least_failures,
        advice=_advice(settings, chat),
    )
    refusals = Ledger(parts.documents, parts.publisher, "refused_tasks", TypeAdapter(Refusal))
    handlers = ControllerHandlers(
        runs, models, refusals, parts.artifacts, clock, chat=settings.llm_base_url is not None
    )
    on = partial(subscribe, parts.broker, settings, service=NAME)
    on(ModelRegistered, handlers.on_model_registered)
    on(TaskPrepared, handlers.on_task_prepared)
    on(TaskRefused, handlers.on_task_refused)
    on(FailuresDiagnosed, handlers.on_failures_diagnosed)
    on(CandidatesVerified, handlers.on_candidates_verified)
    on(StepFailed, handlers.on_step_failed)
    on(RollbackRequested, handlers.on_rollback_requested)
    return [
        Loop("outbox", runs.flush, settings.poll_seconds),
        Loop("refusals", refusals.flush_abandoned, settings.poll_seconds),
        Loop("decisions", runs.decide_left, settings.poll_seconds),
        Loop("budgets", runs.enforce_budgets, settings.poll_seconds),
    ]


def _advice(settings: ControllerSettings, chat: Chat | None) -> Advice | None:
    seconds = settings.advice_seconds
    return Advice(chat, seconds=seconds) if chat and seconds else None
