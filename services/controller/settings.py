"""Settings of the controller."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.chat.settings import ChatSettings
from shared.settings import ServiceSettings


class ControllerSettings(ChatSettings, ServiceSettings):
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
    broken_per_repaired: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1,
        description="Of a model that fails more than half of its traffic: requests that may break "
        "for each that is repaired, where that is more than ε.",
    )
    max_iterations: Annotated[int, Field(ge=1, le=50)] = Field(
        default=3,
        description="Most iterations of one run; each trains at least two candidates, but for a "
        "refit and the first iteration of a cold start on many rows.",
    )
    least_failures: Annotated[int, Field(ge=1)] = Field(
        default=5,
        description="Do not train when remedies for people to apply (reference labels, prompt or "
        "schema) leave fewer failures than this to learn from.",
    )
    max_minutes: Annotated[float, Field(gt=0)] = Field(
        default=720.0, description="A run ends after this many minutes with the best it has."
    )
    configurations: Annotated[int, Field(ge=2, le=64)] = Field(
        default=2,
        description="Configurations trained in each iteration, in parallel: as many as the cluster "
        "holds at once.",
    )
    advice_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=120.0,
        description="How long the chat model may take to propose the next iteration of a run; then "
        "the rules decide. 0: it is not asked.",
    )
    max_trainings: Annotated[int | None, Field(ge=2)] = Field(
        default=None, description="Most configurations that one run trains; empty: no limit."
    )
    max_gpu_seconds: Annotated[float | None, Field(gt=0)] = Field(
        default=None,
        description="Most seconds that one run's models train and answer, on whatever device; "
        "empty: no limit.",
    )
    max_money: Annotated[float | None, Field(gt=0)] = Field(
        default=None,
        description="Most that these seconds may cost at `PIONEER_HOUR_PRICE`; empty: no limit.",
    )
    hour_price: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="What an hour of a training costs, in any currency."
    )
    refit: bool = Field(
        default=True,
        description="The last iteration trains what was admitted, or helped traffic and broke too "
        "much, once more with what was held out, and it is gated again. Its score on those rows "
        "stays that of the one that never saw them.",
    )
    larger_bases: str = Field(
        default="",
        description="Base models to turn to when nothing else helps, each larger than the one "
        "before, separated by commas.",
    )
    four_bit: bool = Field(
        default=False,
        description="LoRA of a model that writes is trained on its base in 4-bit (NF4): less "
        "memory while it trains, none less when it answers. Needs bitsandbytes on Ray's nodes.",
    )

    @model_validator(mode="after")
    def _money_has_a_price(self) -> Self:
        if self.max_money is not None and not self.hour_price:
            raise ValueError("PIONEER_MAX_MONEY is given: give PIONEER_HOUR_PRICE too")
        return self

    @property
    def bases(self) -> tuple[str, ...]:
        """The larger base models, smallest first."""
        return tuple(base.strip() for base in self.larger_bases.split(",") if base.strip())
