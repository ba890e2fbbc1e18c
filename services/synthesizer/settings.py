"""Settings of the synthesizer."""

from typing import Annotated

from pydantic import Field

from shared.chat.settings import ChatSettings
from shared.settings import ServiceSettings


class SynthesizerSettings(ChatSettings, ServiceSettings):
    """What a chat model may write; what to compose comes with each iteration."""

    written_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.1,
        description="Most rows that the chat model may write, as a share of a training set: "
        "their labels are only its word. 0: none.",
    )
    written_rows: Annotated[int, Field(ge=1, le=50)] = Field(
        default=4,
        description="Most gold rows, and as many hard negatives, that the chat model writes for "
        "an error pattern.",
    )
    written_seconds: Annotated[float, Field(gt=0, le=240)] = Field(
        default=120.0,
        description="An iteration goes on without written rows after so many seconds.",
    )
    exam_rows: Annotated[int, Field(ge=20, le=5_000)] = Field(
        default=300,
        description="Most rows of the locked set that a cold start is measured on; each label is "
        "in it, whatever their number. Every later version is held to it too.",
    )
    seed_rows: Annotated[int, Field(ge=4, le=500)] = Field(
        default=24,
        description="Rows of each label that the chat model writes for a task without data.",
    )
