"""Settings of the model server, read from the environment."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from shared.adapters.kafka_security import client_options
from shared.events import Name
from shared.settings import KafkaSettings

# The clients' own default of 100 ms fills the log while a broker is away.
_RETRY_MS = 1_000


class ServingSettings(KafkaSettings):
    """Where Kafka and the artifacts are, which model to serve, and what to refuse."""

    model: Name = Field(description="Name of the model to serve, as it was registered.")
    artifacts_uri: str = Field(
        validation_alias="ARTIFACTS_URI",
        description="Folder for artifacts, the URI (file:///…, s3://…) that the services use too.",
    )
    serving_host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    serving_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8200, description="Port the server listens on; 0 takes a free one."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="How much is logged."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="Log lines as JSON objects or as text for people."
    )
    max_batch: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=64, description="Most texts that are predicted together."
    )
    batch_wait_ms: Annotated[float, Field(ge=0, le=100)] = Field(
        default=2.0, description="How long a batch that is not full waits for more texts."
    )
    max_waiting: Annotated[int, Field(ge=1)] = Field(
        default=10_000, description="Most texts that wait for the model; more are answered 503."
    )
    max_inputs: Annotated[int, Field(ge=1)] = Field(
        default=256, description="Most texts in one request; more are answered 413."
    )
    max_text_chars: Annotated[int, Field(ge=1)] = Field(
        default=20_000,
        description="Longest text; longer is answered 413. Keep it at the diagnoser's value.",
    )
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        default=4_000_000, description="Largest request body; larger is answered 413."
    )
    max_queued_traces: Annotated[int, Field(ge=1)] = Field(
        default=100_000,
        description="Most traces kept while Kafka is away; beyond it they are dropped and counted.",
    )
    flush_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        default=10.0, description="How long shutdown waits for the traces still to be sent."
    )

    @field_validator("artifacts_uri")
    @classmethod
    def _artifacts_have_scheme(cls, value: str) -> str:
        if "://" not in value:
            raise ValueError("give a URI with a scheme, for example file:///var/lib/pioneer")
        return value.rstrip("/")


def kafka_client(settings: ServingSettings) -> dict[str, Any]:
    """What every aiokafka client of this server is made with."""
    return client_options(settings) | {"client_id": "pioneer-serving"}
