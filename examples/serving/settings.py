"""Settings of the model server, read from the environment."""

import ssl
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.events import Name
from shared.settings import KafkaSecurity

# The clients' own default of 100 ms fills the log while a broker is away.
_RETRY_MS = 1_000


class ServingSettings(BaseSettings):
    """Where Kafka and the artifacts are, which model to serve, and what to refuse."""

    model_config = SettingsConfigDict(env_prefix="PIONEER_", frozen=True, extra="ignore")

    model: Name = Field(description="Name of the model to serve, as it was registered.")
    kafka_bootstrap_servers: str = Field(
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Kafka brokers, host:port, separated by commas.",
    )
    kafka_security_protocol: KafkaSecurity = Field(
        default="PLAINTEXT",
        validation_alias="KAFKA_SECURITY_PROTOCOL",
        description="How to speak to Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    kafka_sasl_username: str | None = Field(
        default=None,
        validation_alias="KAFKA_SASL_USERNAME",
        description="User for SASL/SCRAM-SHA-512; required by the SASL protocols.",
    )
    kafka_sasl_password: SecretStr | None = Field(
        default=None,
        validation_alias="KAFKA_SASL_PASSWORD",
        description="Password for SASL/SCRAM-SHA-512; never logged.",
    )
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

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs "
                "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
        return self


def kafka_client(settings: ServingSettings) -> dict[str, Any]:
    """What every aiokafka client of this server is made with."""
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "client_id": "pioneer-serving",
        "security_protocol": protocol,
        "retry_backoff_ms": _RETRY_MS,
    }
    if protocol.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context()
    if protocol.startswith("SASL") and settings.kafka_sasl_password:
        options["sasl_mechanism"] = "SCRAM-SHA-512"
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options
