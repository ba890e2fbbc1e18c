"""What the synthesizer does with a submitted task: prepare it, or say why it cannot be started."""

import logging

from services.synthesizer.preparing import Preparing
from shared.domain.ids import derive_id
from shared.errors import DEFECTS, PermanentError
from shared.events import TaskRefused, TaskSubmitted
from shared.ports import Publisher

logger = logging.getLogger(__name__)


class TaskHandlers:
    """Prepares submitted tasks, or says why they cannot be started."""

    def __init__(self, publisher: Publisher, preparing: Preparing) -> None:
        self._publisher = publisher
        self._preparing = preparing

    async def on_task_submitted(self, event: TaskSubmitted) -> None:
        try:
            prepared = await self._preparing.prepare(event)
        except PermanentError as error:
            logger.warning("task %r cannot be started: %s", event.description[:80], error)
            prepared = _refused(event, str(error))
        except DEFECTS as error:
            logger.exception("task %r cannot be started", event.description[:80])
            prepared = _refused(event, f"{type(error).__name__}: {error}")
        await self._publisher.publish(prepared)


def _refused(event: TaskSubmitted, reason: str) -> TaskRefused:
    return TaskRefused(
        id=derive_id("refused", event.id),
        model=event.model,
        run_id=event.run_id,
        submission=event.id,
        reason=reason,
    )
