"""Long work as persisted jobs: a handler records one and returns, a watcher finishes it.

A job is recorded before it is submitted and marked done after its event is published, so a process
that dies in between picks it up again at its next start: with the same ids, hence the same effect.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.errors import DEFECTS, Conflict, PermanentError, TransientError
from shared.job_specs import JOB_SPEC, CandidateProgress, JobResult, JobSpec
from shared.logs import log_context
from shared.ports import (
    Clock,
    Compute,
    DocumentStore,
    JobFailed,
    JobLost,
    JobPending,
    JobRunning,
    JobSucceeded,
)

logger = logging.getLogger(__name__)

COLLECTION = "jobs"


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """How often a job is tried, and how long one try may take."""

    attempts: int = 3
    time_limit: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Job:
    """A recorded job; ``cause`` is the JSON of what it was made for."""

    id: str
    model: str
    run_id: str | None
    cause: str
    spec: JobSpec


OnSuccess = Callable[[Job, JobResult], Awaitable[None]]
OnFailure = Callable[[Job, str], Awaitable[None]]
OnProgress = Callable[[Job, tuple[CandidateProgress, ...]], Awaitable[None]]


class JobWatcher:
    """Submits jobs of one service and turns their ends into calls, once each, across restarts."""

    def __init__(
        self,
        *,
        service: str,
        documents: DocumentStore,
        compute: Compute,
        clock: Clock,
        on_success: OnSuccess,
        on_failure: OnFailure,
        on_progress: OnProgress | None = None,
        policy: JobPolicy | None = None,
    ) -> None:
        self._service = service
        self._documents = documents
        self._compute = compute
        self._clock = clock
        self._on_success = on_success
        self._on_failure = on_failure
        self._on_progress = on_progress
        self._policy = policy or JobPolicy()

    async def submit(self, job: Job) -> None:
        """Record a job and start it; one that is recorded already is left as it is."""
        document: dict[str, Any] = {
            "_id": job.id,
            "service": self._service,
            "state": "open",
            "attempt": 1,
            "submitted": False,
            "model": job.model,
            "run_id": job.run_id,
            "cause": job.cause,
            "spec": JOB_SPEC.dump_json(job.spec).decode(),
            "started_at": self._clock(),
        }
        if await self._documents.insert(COLLECTION, document):
            # If the cluster is away, the loop starts it as soon as it can: it is recorded.
            await self._look_at({**document, "version": 1})

    async def knows(self, job_id: str) -> bool:
        """Whether a job was recorded before."""
        return await self._documents.get(COLLECTION, job_id) is not None

    async def step(self) -> int:
        """Look at every open job once; how many are still open. Raises TransientError."""
        where = {"service": self._service, "state": "open"}
        documents = await self._documents.find(COLLECTION, where)
        for document in documents:
            with log_context(model=document["model"], run_id=document["run_id"]):
                await self._look_at(document)
        return len(documents)

    async def cancel_run(self, run_id: str) -> None:
        """Stop what still runs for a run that has ended; its results concern nobody any more."""
        where = {"service": self._service, "state": "open", "run_id": run_id}
        for document in await self._documents.find(COLLECTION, where):
            await self._compute.stop(f"{document['_id']}-{document['attempt']}")
            await self._documents.replace(COLLECTION, {**document, "state": "cancelled"})

    async def _look_at(self, document: dict[str, Any]) -> None:
        """One job's trouble is its own: the others go on."""
        try:
            await self._advance(document)
        except Conflict:
            logger.info("job %s was advanced by another process", document["_id"])
        except TransientError as error:
            logger.warning("job %s: %s", document["_id"], error)
        except (PermanentError, *DEFECTS) as error:
            logger.exception("job %s cannot go on", document["_id"])
            await self._give_up(document, f"{type(error).__name__}: {error}")

    async def _give_up(self, document: dict[str, Any], reason: str) -> None:
        try:
            await self._fail(document, _job(document), reason)
        except (TransientError, *DEFECTS):
            logger.exception("job %s cannot be given up either, trying again", document["_id"])

    async def _advance(self, document: dict[str, Any]) -> None:
        job = _job(document)
        attempt_id = f"{job.id}-{document['attempt']}"
        if not document["submitted"]:
            await self._compute.submit(attempt_id, job.spec)
            await self._documents.replace(COLLECTION, {**document, "submitted": True})
            return
        match await self._compute.poll(attempt_id):
            case JobPending() | JobRunning() if self._overdue(document["started_at"]):
                await self._compute.stop(attempt_id)
                await self._fail(document, job, f"ran longer than {self._policy.time_limit}")
            case JobPending():
                pass
            case JobRunning(progress):
                if progress and self._on_progress:
                    await self._on_progress(job, progress)
            case JobSucceeded(result):
                await self._succeed(document, job, result)
            case JobLost():
                logger.warning("job %s is unknown to the cluster, submitting it again", attempt_id)
                await self._compute.submit(attempt_id, job.spec)
            case JobFailed(reason, permanent):
                if permanent or document["attempt"] >= self._policy.attempts:
                    await self._fail(document, job, reason)
                else:
                    logger.warning("job %s failed and is tried again: %s", attempt_id, reason)
                    await self._documents.replace(
                        COLLECTION,
                        {
                            **document,
                            "attempt": document["attempt"] + 1,
                            "submitted": False,
                            "started_at": self._clock(),
                        },
                    )

    async def _succeed(self, document: dict[str, Any], job: Job, result: JobResult) -> None:
        try:
            await self._on_success(job, result)
        except PermanentError as error:
            await self._fail(document, job, str(error))
            return
        await self._documents.replace(COLLECTION, {**document, "state": "succeeded"})

    async def _fail(self, document: dict[str, Any], job: Job, reason: str) -> None:
        logger.error("job %s failed: %s", job.id, reason)
        await self._on_failure(job, reason)
        await self._documents.replace(COLLECTION, {**document, "state": "failed", "reason": reason})

    def _overdue(self, started_at: datetime) -> bool:
        return self._clock() - started_at > self._policy.time_limit


async def every(seconds: float, step: Callable[[], Awaitable[Any]], *, name: str) -> None:
    """Run a step for ever, pausing in between; what goes wrong is logged and tried again."""
    while True:
        try:
            await step()
        except TransientError as error:
            logger.warning("%s: %s", name, error)
        except (PermanentError, *DEFECTS):
            logger.exception("%s", name)
        await asyncio.sleep(seconds)


def _job(document: dict[str, Any]) -> Job:
    return Job(
        id=document["_id"],
        model=document["model"],
        run_id=document["run_id"],
        cause=document["cause"],
        spec=JOB_SPEC.validate_json(document["spec"]),
    )
