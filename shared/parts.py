"""The parts every service is made of: broker, store, artifacts, compute."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from faststream.asgi import AsgiFastStream
from faststream.kafka import KafkaBroker

from shared.adapters import mongo
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.kafka import EventPublisher, make_broker
from shared.adapters.mongo import MongoDocuments
from shared.adapters.ray_compute import RayCompute
from shared.ports import ArtifactStore, Compute, DocumentStore, Publisher
from shared.service import Loop, build_app
from shared.settings import ServiceSettings


def utc_now() -> datetime:
    """The Clock of every process."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """The outside world of one service, as ports."""

    broker: KafkaBroker
    publisher: Publisher
    documents: DocumentStore
    artifacts: ArtifactStore
    compute: Compute


@dataclass(frozen=True, slots=True)
class RealParts(Parts):
    """The same over Kafka, MongoDB, fsspec and Ray."""

    documents: MongoDocuments
    compute: RayCompute

    @classmethod
    def connect(cls, settings: ServiceSettings, *, service: str) -> "RealParts":
        """Build the clients; each connects on its first use."""
        broker = make_broker(settings, service=service)
        artifacts = FsspecArtifacts(settings.artifacts_uri)
        return cls(
            broker=broker,
            publisher=EventPublisher(broker, source=service),
            documents=mongo.connect(
                settings.mongodb_uri.get_secret_value(), settings.mongodb_database
            ),
            artifacts=artifacts,
            compute=RayCompute(
                settings.ray_address,
                artifacts,
                artifacts_uri=settings.artifacts_uri,
                token=settings.ray_token,
                entrypoint_python=settings.ray_python,
            ),
        )

    def app(
        self, loops: Sequence[Loop] = (), closing: Sequence[Callable[[], Awaitable[None]]] = ()
    ) -> AsgiFastStream:
        """The FastStream app around these parts; it closes them, and ``closing``, when it stops."""

        async def close() -> None:
            for close_one in closing:
                await close_one()
            await self.compute.aclose()
            self.documents.close()

        return build_app(self.broker, loops=loops, checks=[self.documents.ping], on_stop=close)
