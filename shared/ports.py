"""What the services need from the world, as Protocols; adapters and fakes implement them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.domain.artifacts import ArtifactRef
from shared.events import Event
from shared.job_specs import CandidateProgress, JobResult, JobSpec


@dataclass(frozen=True, slots=True)
class JobPending:
    """Queued or starting."""


@dataclass(frozen=True, slots=True)
class JobRunning:
    progress: tuple[CandidateProgress, ...] = ()


@dataclass(frozen=True, slots=True)
class JobSucceeded:
    result: JobResult


@dataclass(frozen=True, slots=True)
class JobFailed:
    """``permanent`` when the same spec would fail again."""

    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class JobLost:
    """The cluster does not know the job (it was restarted): submit it again."""


JobState = JobPending | JobRunning | JobSucceeded | JobFailed | JobLost


class Compute(Protocol):
    """Everything that touches a model. Jobs are idempotent: ids are derived from causes."""

    async def submit(self, job_id: str, spec: JobSpec) -> None:
        """Start the job; a second submit of the same id is a no-op. Raises TransientError."""
        ...

    async def poll(self, job_id: str) -> JobState:
        """Where the job stands. Raises TransientError when the cluster cannot be reached."""
        ...

    async def stop(self, job_id: str) -> None:
        """End the job if it still runs; unknown ids are ignored."""
        ...


class ArtifactStore(Protocol):
    """Immutable files and folders under one root, addressed by content."""

    def put(self, data: bytes, *, name: str) -> ArtifactRef:
        """Store bytes under their digest; storing the same bytes again is a no-op."""
        ...

    def get(self, ref: ArtifactRef) -> bytes:
        """The bytes. Raises UnknownThing when absent, DigestMismatch when they changed."""
        ...

    def put_folder(self, files: dict[str, bytes], *, name: str) -> ArtifactRef:
        """Store files and, last of all, their manifest; the reference is the manifest's digest."""
        ...

    def get_folder(self, ref: ArtifactRef) -> dict[str, bytes]:
        """All files of a folder, each checked against the manifest. Raises as ``get``."""
        ...

    def read_state(self, path: str) -> bytes | None:
        """A small mutable file (job specs, progress, results), or None."""
        ...

    def write_state(self, path: str, data: bytes) -> None:
        """Replace a small mutable file in one step."""
        ...

    def list_state(self, prefix: str) -> Sequence[str]:
        """Paths of the mutable files below a prefix."""
        ...


class DocumentStore(Protocol):
    """Small JSON-like documents with an ``_id`` and a ``version``, changed by compare-and-set."""

    async def get(self, collection: str, document_id: str) -> dict[str, Any] | None:
        """One document, or None. All methods raise TransientError when the database is away."""
        ...

    async def insert(self, collection: str, document: dict[str, Any]) -> bool:
        """Store a new document with version 1; False when the id is taken (nothing changes)."""
        ...

    async def replace(self, collection: str, document: dict[str, Any]) -> None:
        """Store the next version of a document read before. Raises Conflict when it moved on."""
        ...

    async def delete(self, collection: str, document_id: str) -> None:
        """Remove a document; an absent one is fine."""
        ...

    async def find(self, collection: str, where: dict[str, Any]) -> list[dict[str, Any]]:
        """All documents whose fields equal the given values."""
        ...


class Publisher(Protocol):
    """Where events go. Raises TransientError when the broker is away."""

    async def publish(self, event: Event) -> None: ...


Clock = Callable[[], datetime]
