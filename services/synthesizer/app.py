"""Composition root of the synthesizer: settings → adapters → FastStream app."""

from collections.abc import Sequence
from functools import partial

from faststream.asgi import AsgiFastStream

from services.synthesizer.adapters.hugging_face import HuggingFaceCatalogue
from services.synthesizer.adapters.local_catalogue import LocalCatalogue
from services.synthesizer.domain.exam import ExamSpec
from services.synthesizer.handlers import SynthesizerHandlers, WritingPolicy
from services.synthesizer.ports import Catalogue
from services.synthesizer.preparing import Preparing, PreparingPolicy
from services.synthesizer.seeding import SeedingPolicy
from services.synthesizer.settings import SynthesizerSettings
from services.synthesizer.task_handlers import TaskHandlers
from shared.adapters.chat_connect import connect_chat, index_calls
from shared.adapters.kafka import subscribe
from shared.chat.asking import Chat
from shared.events import IterationRequested, TaskSubmitted
from shared.parts import Parts, RealParts, utc_now
from shared.service import Loop

NAME = "synthesizer"


def create_app(settings: SynthesizerSettings) -> AsgiFastStream:
    """The service over the real parts."""
    parts = RealParts.connect(settings, service=NAME)
    chat = connect_chat(settings, parts.documents, utc_now)
    app = parts.app(wire(settings, parts, chat=chat), closing=[chat.aclose] if chat else [])
    app.on_startup(partial(index_calls, parts.documents))
    return app


def wire(
    settings: SynthesizerSettings,
    parts: Parts,
    *,
    chat: Chat | None = None,
    catalogue: Catalogue | None = None,
) -> Sequence[Loop]:
    """Connect handlers to topics; the synthesizer has no loops of its own."""
    preparing = Preparing(
        parts.artifacts,
        catalogue or _catalogue(settings),
        PreparingPolicy(
            ExamSpec(most=settings.exam_rows),
            SeedingPolicy(settings.seed_rows),
            settings.written_seconds,
        ),
        chat=chat,
    )
    handlers = SynthesizerHandlers(
        parts.publisher,
        parts.artifacts,
        chat=chat,
        writing=WritingPolicy(
            settings.written_share, settings.written_rows, settings.written_seconds
        ),
    )
    on = partial(subscribe, parts.broker, settings, service=NAME)
    on(TaskSubmitted, TaskHandlers(parts.publisher, preparing).on_task_submitted)
    on(IterationRequested, handlers.on_iteration)
    return []


def _catalogue(settings: SynthesizerSettings) -> Catalogue:
    hub = HuggingFaceCatalogue()
    return LocalCatalogue(settings.catalogue, hub) if settings.catalogue else hub
