"""A submitted task whose run never began, kept so that whoever asks hears why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Refusal:
    """``declined``: the name is taken or busy; ``failed``: the task itself cannot be started."""

    run_id: str
    model: str
    submission: str
    outcome: Literal["failed", "declined"]
    reason: str
    at: datetime
