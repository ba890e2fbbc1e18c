"""Settings of the trainer."""

from typing import Annotated

from pydantic import Field

from shared.settings import ServiceSettings


class TrainerSettings(ServiceSettings):
    """How long a training may take, and how often it is tried."""

    job_attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        default=3, description="How often a training job is tried before the run fails."
    )
    job_minutes: Annotated[float, Field(gt=0)] = Field(
        default=720.0, description="Longest time one try of a training job may take, in minutes."
    )
