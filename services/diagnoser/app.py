"""Composition root of the diagnoser: settings → adapters → FastStream app."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from faststream.asgi import AsgiFastStream

from services.diagnoser.adapters.http_endpoint import HttpEndpoint
from services.diagnoser.adapters.mongo_traces import MongoTraces
from services.diagnoser.advised import AdvicePolicy, AdvisedFindings
from services.diagnoser.chat import ChatAdvice
from services.diagnoser.chat_judging import EVERY_SECONDS, ChatJudging
from services.diagnoser.diagnosis import Diagnosis, TriggerPolicy
from services.diagnoser.domain.findings import SplitPolicy
from services.diagnoser.handlers import DiagnoserHandlers
from services.diagnoser.ingest import Ingest
from services.diagnoser.models import KnownModels
from services.diagnoser.ports import ModelEndpoint, TraceStore
from services.diagnoser.probing import Probing
from services.diagnoser.settings import DiagnoserSettings
from services.diagnoser.snapshots import Snapshots
from shared.adapters.chat_connect import connect_chat, index_calls
from shared.adapters.kafka import bury, subscribe
from shared.adapters.kafka_batches import subscribe_batches
from shared.chat.asking import Chat
from shared.events import (
    FeedbackGiven,
    ImprovementRequested,
    ModelPromoted,
    ModelRolledBack,
    RunClosed,
    TraceLogged,
    TraceReleased,
)
from shared.parts import Parts, RealParts, utc_now
from shared.ports import Clock
from shared.service import Loop
from shared.watcher import JobWatcher

NAME = "diagnoser"


def create_app(settings: DiagnoserSettings) -> AsgiFastStream:
    """The service over the real parts."""
    parts = RealParts.connect(settings, service=NAME)
    traces = MongoTraces(parts.documents)
    chat = connect_chat(settings, parts.documents, utc_now)
    loops = wire(settings, parts, traces, utc_now, chat=chat)
    app = parts.app(loops, closing=[chat.aclose] if chat else [])
    app.on_startup(traces.prepare)
    app.on_startup(partial(index_calls, parts.documents))
    return app


def wire(
    settings: DiagnoserSettings,
    parts: Parts,
    traces: TraceStore,
    clock: Clock,
    *,
    chat: Chat | None = None,
    endpoint: Callable[[str], ModelEndpoint] = HttpEndpoint,
) -> Sequence[Loop]:
    """Connect handlers to topics; returns the loops the service must run."""
    models = KnownModels(parts.documents)
    grace = timedelta(seconds=settings.feedback_grace_seconds)
    ingest = Ingest(traces, models, max_text_chars=settings.max_text_chars, feedback_grace=grace)
    advice = ChatAdvice(chat)
    diagnosis = _diagnosis(
        settings, parts, traces, models=models, clock=clock, advice=advice, endpoint=endpoint
    )
    watcher: JobWatcher = JobWatcher(
        service=NAME,
        documents=parts.documents,
        compute=parts.compute,
        clock=clock,
        on_success=lambda job, result: diagnosis.on_done(job, result, watcher),
        on_failure=lambda job, reason: diagnosis.on_failed(job, reason, watcher),
    )
    _subscribe(settings, parts, DiagnoserHandlers(ingest, models, clock))

    async def settle_parked() -> None:
        for feedback, error in await ingest.settle_parked(clock()):
            body = feedback.model_dump_json().encode()
            await bury(
                parts.broker, feedback.topic, feedback.model.encode(), body, error, offset=-1
            )
            await ingest.forget(feedback)

    seconds = settings.poll_seconds
    loops = [
        Loop("parked feedback", settle_parked, seconds),
        Loop("diagnosis triggers", lambda: diagnosis.start_due(watcher), seconds),
        Loop("jobs", watcher.step, seconds),
    ]
    if advice.available and settings.judged_per_minute:
        judging = ChatJudging(traces, models, advice, clock, most=settings.judged_per_minute)
        loops.append(Loop("judging by the chat model", judging.step, EVERY_SECONDS))
    return loops


def _subscribe(settings: DiagnoserSettings, parts: Parts, handlers: DiagnoserHandlers) -> None:
    batches = partial(
        subscribe_batches,
        parts.broker,
        settings,
        service=NAME,
        max_records=settings.batch_records,
    )
    batches(TraceLogged, handlers.on_traces)
    batches(FeedbackGiven, handlers.on_feedback)
    on = partial(subscribe, parts.broker, settings, service=NAME)
    on(ModelPromoted, handlers.on_deployed)
    on(ModelRolledBack, handlers.on_deployed)
    on(ImprovementRequested, handlers.on_improvement_requested)
    on(RunClosed, handlers.on_run_closed)
    on(TraceReleased, handlers.on_trace_released)


def _diagnosis(
    settings: DiagnoserSettings,
    parts: Parts,
    traces: TraceStore,
    *,
    models: KnownModels,
    clock: Clock,
    advice: ChatAdvice,
    endpoint: Callable[[str], ModelEndpoint],
) -> Diagnosis:
    splits = SplitPolicy(
        heldout_share=settings.heldout_share,
        regression_share=settings.regression_share,
        regression_rows=settings.regression_rows,
        loaned_rows=settings.loaned_rows,
        epsilon=settings.epsilon,
    )
    snapshots = Snapshots(
        traces,
        parts.artifacts,
        max_failures=settings.max_failures,
        max_passes=settings.max_passes,
    )
    return Diagnosis(
        traces=traces,
        models=models,
        artifacts=parts.artifacts,
        publisher=parts.publisher,
        clock=clock,
        triggers=TriggerPolicy(
            min_failures=settings.min_failures,
            quiet_seconds=settings.quiet_seconds,
            pressing_failures=settings.pressing_failures,
        ),
        findings=AdvisedFindings(
            advice, splits, AdvicePolicy(settings.second_opinions, settings.written_probes)
        ),
        snapshots=snapshots,
        probing=Probing(parts.artifacts, snapshots, endpoint, epsilon=settings.epsilon),
        embedding_model=settings.embedding_model,
    )
