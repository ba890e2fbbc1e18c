"""Composition root of the synthesizer: settings → adapters → FastStream app."""

from collections.abc import Sequence

from faststream.asgi import AsgiFastStream

from services.synthesizer.handlers import SynthesizerHandlers
from services.synthesizer.settings import SynthesizerSettings
from shared.adapters.kafka import subscribe
from shared.events import IterationRequested
from shared.parts import Parts, RealParts
from shared.service import Loop

NAME = "synthesizer"


def create_app(settings: SynthesizerSettings) -> AsgiFastStream:
    """The service over the real parts."""
    parts = RealParts.connect(settings, service=NAME)
    return parts.app(wire(settings, parts))


def wire(settings: SynthesizerSettings, parts: Parts) -> Sequence[Loop]:
    """Connect handlers to topics; the synthesizer has no loops of its own."""
    handlers = SynthesizerHandlers(parts.publisher, parts.artifacts)
    subscribe(parts.broker, settings, IterationRequested, handlers.on_iteration, service=NAME)
    return []
