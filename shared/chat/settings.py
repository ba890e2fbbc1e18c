"""Settings of the optional chat model; without an address there is none, and nothing needs it."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.domain.answer_form import Scorer
from shared.domain.chat_calls import Budget, Prices
from shared.domain.tasks import Task
from shared.errors import BadInput


class ChatSettings(BaseSettings):
    """Which chat model to ask, and what a run may spend on it."""

    model_config = SettingsConfigDict(env_prefix="PIONEER_", frozen=True, extra="ignore")

    llm_base_url: str | None = Field(
        default=None,
        description="OpenAI-compatible server of a chat model, for example "
        "https://api.openai.com/v1. Not set: nothing is asked, everything else works.",
    )
    llm_model: str | None = Field(
        default=None, description="Name of the chat model, as its server knows it."
    )
    llm_api_key: SecretStr | None = Field(
        default=None, description="Key of the chat model's server. Never logged."
    )
    llm_tokens_per_run: Annotated[int, Field(ge=1)] = Field(
        default=500_000, description="Most tokens, asked and answered, that one run may spend."
    )
    llm_money_per_run: float | None = Field(
        default=None,
        gt=0,
        description="Most money one run may spend, in the currency of the prices. "
        "Not set: no limit.",
    )
    llm_prompt_price: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Price of 1,000 tokens asked."
    )
    llm_completion_price: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Price of 1,000 tokens answered."
    )
    llm_concurrency: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, description="Most requests to the chat model at one time."
    )
    llm_timeout_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=120.0, description="How long one request to the chat model may take."
    )
    llm_attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        default=4, description="How often a question is asked before it stays without an answer."
    )

    @field_validator("llm_base_url")
    @classmethod
    def _is_plain_address(cls, value: str | None) -> str | None:
        if not value:
            return None
        address = urlsplit(value)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("give the address with its scheme, for example https://host/v1")
        if address.username or address.password or address.query:
            # HTTP clients log addresses.
            raise ValueError("no password or query in the address: use PIONEER_LLM_API_KEY")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if bool(self.llm_base_url) != bool(self.llm_model):
            raise ValueError("PIONEER_LLM_BASE_URL and PIONEER_LLM_MODEL: set both or neither")
        if self.llm_money_per_run and not (self.llm_prompt_price or self.llm_completion_price):
            raise ValueError(
                "PIONEER_LLM_MONEY_PER_RUN counts nothing without PIONEER_LLM_PROMPT_PRICE or "
                "PIONEER_LLM_COMPLETION_PRICE: set a price"
            )
        return self

    @property
    def llm_budget(self) -> Budget:
        return Budget(self.llm_tokens_per_run, self.llm_money_per_run)

    @property
    def llm_prices(self) -> Prices:
        return Prices(self.llm_prompt_price, self.llm_completion_price)


def refuse_unjudged(task: Task, *, chat: bool) -> None:
    """Raises BadInput for a task whose answers a chat model grades where there is none."""
    if task.form is not None and task.form.scorer is Scorer.JUDGE and not chat:
        raise BadInput(
            f"scorer={Scorer.JUDGE} asks a chat model, and there is none: set "
            "PIONEER_LLM_BASE_URL and PIONEER_LLM_MODEL, or declare another scorer"
        )
