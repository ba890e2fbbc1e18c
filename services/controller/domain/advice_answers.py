"""What a chat model may answer when it is asked for the next move; null keeps what there is."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.domain.chat import Answer, Remark

_ROUNDING = 0.011

Count = Annotated[int, Field(ge=0, le=10_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class Shares(Answer):
    """The parts of a training set."""

    gold: Share
    hard: Share
    replay: Share

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.gold + self.hard + self.replay
        if not abs(total - 1) < _ROUNDING:
            raise ValueError(f"gold, hard and replay sum to {total:.2f}: they must sum to 1")
        return self


class DataChange(Answer):
    """What changes of a training set's composition."""

    shares: Shares | None
    size: Count | None
    surgical: Count | None
    noisy: float | None


class Configuration(Answer):
    """One training: the pipeline it starts from, and what changes of it.

    ``fused_with`` is another pipeline whose merits it shall have too.
    """

    starts_from: str
    fused_with: str | None
    method: str | None
    learning_rate: float | None
    epochs: Count | None
    lora_rank: Count | None
    supervision: str | None
    system_prompt: str | None


class MoveAnswer(Answer):
    """The next iteration: ``data`` changes the training set of the pipeline ``data_of``."""

    move: str
    data_of: str
    data: DataChange
    configurations: Annotated[tuple[Configuration, ...], Field(min_length=2, max_length=64)]
    reason: Remark
