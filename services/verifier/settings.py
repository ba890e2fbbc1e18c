"""Settings of the verifier."""

from typing import Annotated

from pydantic import Field

from shared.chat.settings import ChatSettings
from shared.settings import ServiceSettings


class VerifierSettings(ChatSettings, ServiceSettings):
    """How long an evaluation may take, how often it is tried, and which chat model may grade."""

    job_attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        default=3, description="How often an evaluation job is tried before the run fails."
    )
    job_minutes: Annotated[float, Field(gt=0)] = Field(
        default=720.0, description="Longest time one try of an evaluation job may take, in minutes."
    )
    epsilon: Annotated[int, Field(ge=0)] = Field(
        default=2,
        description="Most examples of any evaluation set that were right before and may be wrong "
        "now (the paper's ε).",
    )
    broken_per_repaired: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1,
        description="Of a model that fails more than half of its traffic: requests that may break "
        "for each that is repaired, where that is more than ε.",
    )
    assurance: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        default=0.8,
        description="Probability, as far as the sets can tell, with which a promotion must raise "
        "the accuracy on traffic.",
    )
