"""Settings of the controller."""

from typing import Annotated

from pydantic import Field

from shared.settings import ServiceSettings


class ControllerSettings(ServiceSettings):
    """When a run is good enough, and when it must end."""

    target: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.96,
        description="Share of the held-out failures that must be right to end a run early "
        "(the paper's τ).",
    )
    epsilon: Annotated[int, Field(ge=0)] = Field(
        default=2,
        description="Most examples of any evaluation set that were right before and may be wrong "
        "now (the paper's ε).",
    )
    max_iterations: Annotated[int, Field(ge=1, le=50)] = Field(
        default=3, description="Most iterations of one run; each trains at least two candidates."
    )
    sufficient_remedy: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.9,
        description="Do not train when remedies without training cover this share of the failures "
        "that are not poison.",
    )
    max_minutes: Annotated[float, Field(gt=0)] = Field(
        default=720.0, description="A run ends after this many minutes with the best it has."
    )
