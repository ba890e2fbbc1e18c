"""Settings of the synthesizer."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from shared.chat.settings import ChatSettings
from shared.settings import ServiceSettings


class SynthesizerSettings(ChatSettings, ServiceSettings):
    """What a chat model may write, and where data sets are; what to compose comes with events."""

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
        description="Rows of each label, entity type or kind of request that the chat model writes "
        "for a task without data.",
    )
    catalogue: Path | None = Field(
        default=None,
        description="Folder of data sets by name, each a folder with train.jsonl and maybe "
        "test.jsonl, task.json and survey.json. A name is looked for there, then at Hugging Face.",
    )

    @field_validator("catalogue", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        # compose hands over a variable that is not set as an empty text, and "" is a path too.
        return value or None

    @field_validator("catalogue")
    @classmethod
    def _is_a_folder(cls, value: Path | None) -> Path | None:
        if value is None or value.expanduser().is_dir():
            return value.expanduser() if value else None
        raise ValueError(f"{value} is no folder")
