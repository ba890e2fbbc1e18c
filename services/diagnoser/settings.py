"""Settings of the diagnoser."""

from typing import Annotated

from pydantic import Field

from shared.chat.settings import ChatSettings
from shared.settings import ServiceSettings


class DiagnoserSettings(ChatSettings, ServiceSettings):
    """When to diagnose, how failures are split, and what to ask a chat model."""

    min_failures: Annotated[int, Field(ge=4)] = Field(
        default=50, description="New failures of the deployed version that start a diagnosis."
    )
    quiet_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30.0,
        description="Wait until no failure has come in for this long, so that a burst is one run.",
    )
    pressing_failures: Annotated[int, Field(ge=4)] = Field(
        default=500,
        description="New failures that start a diagnosis at once, quiet or not.",
    )
    heldout_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.35,
        description="Part of the failures that nothing is trained on; headline scores are on it.",
    )
    regression_share: Annotated[float, Field(ge=0.3, le=1)] = Field(
        default=0.5,
        description="Size of the regression set as a part of the failures held out (paper: 0.3-1).",
    )
    epsilon: Annotated[int, Field(ge=0)] = Field(
        default=2,
        description="Most examples of any evaluation set that were right before and may be wrong "
        "now (the paper's ε).",
    )
    regression_rows: Annotated[int, Field(ge=0)] = Field(
        default=40,
        description="Passing traces that are guarded at least, where traffic has eight times as "
        "many: few failures must not mean a blind gate.",
    )
    loaned_rows: Annotated[int, Field(ge=0)] = Field(
        default=160,
        description="More passing traces, at most a quarter, that the gate measures candidates "
        "with; what is admitted without them learns them too.",
    )
    max_failures: Annotated[int, Field(ge=10)] = Field(
        default=100_000, description="Most failures one diagnosis looks at; the newest are taken."
    )
    max_passes: Annotated[int, Field(ge=10)] = Field(
        default=5_000, description="Most passing traces one diagnosis keeps for hard and replay."
    )
    max_text_chars: Annotated[int, Field(ge=100)] = Field(
        default=20_000, description="Longest input or output text of a trace; longer is refused."
    )
    feedback_grace_seconds: Annotated[float, Field(ge=0)] = Field(
        default=600.0,
        description="How long feedback waits for its trace before it becomes a dead letter.",
    )
    batch_records: Annotated[int, Field(ge=1, le=50_000)] = Field(
        default=2_000, description="Most traces that are stored in one call."
    )
    embedding_model: str | None = Field(
        default=None,
        description="Encoder that tells meanings apart: a Hugging Face id or a folder. Without one "
        "the deployed model's own encoder does, in the same pass as its answers.",
    )
    judged_per_minute: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=60,
        description="Most traces without a verdict that the chat model judges in a minute, for "
        "each model. Each day has the budget of one run. 0: none.",
    )
    second_opinions: Annotated[int, Field(ge=0, le=1_000)] = Field(
        default=30,
        description="Most doubtful failures of a diagnosis on which the chat model is asked.",
    )
    written_probes: Annotated[int, Field(ge=0, le=50)] = Field(
        default=4, description="Most probes that the chat model writes for an error pattern."
    )
