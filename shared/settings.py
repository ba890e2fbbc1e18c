"""Settings from the environment, documented field by field and refused with a sentence.

Addresses use the names their own tools use (``KAFKA_BOOTSTRAP_SERVERS``, ``MONGODB_URI``,
``RAY_ADDRESS``, ``ARTIFACTS_URI``); everything of ours starts with ``PIONEER_``.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import BadSettings

KafkaSecurity = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


def default_home() -> Path:
    """Where embedded parts keep their data unless ``PIONEER_HOME`` says otherwise."""
    return Path.home() / ".pioneer"


class KafkaSettings(BaseSettings):
    """Where Kafka is, and how to prove to it who we are."""

    model_config = SettingsConfigDict(env_prefix="PIONEER_", frozen=True, extra="ignore")

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

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> Self:
        given = bool(self.kafka_sasl_username and self.kafka_sasl_password)
        if given != self.kafka_security_protocol.startswith("SASL"):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}: the SASL protocols need "
                "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, the others take none"
            )
        return self


class ServiceSettings(KafkaSettings):
    """What every service needs: where the parts are, and how to speak of itself."""

    kafka_session_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = Field(
        default=10_000,
        validation_alias="KAFKA_SESSION_TIMEOUT_MS",
        description="Consumer session timeout. Short ones join groups faster, if embedded.",
    )
    mongodb_uri: SecretStr = Field(
        validation_alias="MONGODB_URI",
        description="MongoDB connection string, for example mongodb://host:27017. Never logged.",
    )
    mongodb_database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")] = Field(
        default="pioneer",
        validation_alias=AliasChoices("MONGODB_DATABASE", "PIONEER_MONGODB_DATABASE"),
        description="Database that holds Pioneer's collections.",
    )
    ray_address: str = Field(
        validation_alias="RAY_ADDRESS",
        description="Ray's Jobs API (the dashboard), for example http://ray-head:8265.",
    )
    ray_auth_token: SecretStr | None = Field(
        default=None,
        validation_alias="RAY_AUTH_TOKEN",
        description="Token of the Ray cluster (RAY_AUTH_MODE=token). Never logged.",
    )
    ray_auth_token_path: Path | None = Field(
        default=None,
        validation_alias="RAY_AUTH_TOKEN_PATH",
        description="File that holds the token, instead of RAY_AUTH_TOKEN.",
    )
    artifacts_uri: str = Field(
        validation_alias="ARTIFACTS_URI",
        description="Folder for artifacts, any fsspec URI (file:///…, s3://…) that services, "
        "Ray workers and serving can all reach.",
    )
    ray_python: str = Field(
        default="python",
        description="Python interpreter that runs jobs on the Ray cluster.",
    )
    http_host: str = Field(
        default="127.0.0.1", description="Address the health endpoints listen on."
    )
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0,
        description="Port of the health endpoints. 0 takes the service's own default (8101-8105).",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="How much is logged."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="Log lines as JSON objects or as text for people."
    )
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=1.0, description="How often watchers look at jobs and thresholds, in seconds."
    )
    max_message_bytes: Annotated[int, Field(ge=65_536, le=100_000_000)] = Field(
        default=16_000_000,
        description="Largest Kafka message that is read. Raise it with the broker's own limit.",
    )

    @field_validator("ray_address")
    @classmethod
    def _ray_is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError(
                "give the address of Ray's Jobs API with its scheme, for example "
                "http://ray-head:8265 (ray:// and host:6379 are not it)"
            )
        return value.rstrip("/")

    @field_validator("artifacts_uri")
    @classmethod
    def _artifacts_have_scheme(cls, value: str) -> str:
        if "://" not in value:
            raise ValueError("give a URI with a scheme, for example file:///var/lib/pioneer")
        return value.rstrip("/")

    @property
    def ray_token(self) -> str | None:
        """The Ray token, from the variable or the file. Raises BadSettings if it cannot be read."""
        if self.ray_auth_token:
            return self.ray_auth_token.get_secret_value()
        if self.ray_auth_token_path is None:
            return None
        try:
            return self.ray_auth_token_path.read_text().strip()
        except OSError as error:
            raise BadSettings(
                f"RAY_AUTH_TOKEN_PATH={self.ray_auth_token_path}: {error.strerror}. "
                "Point it to a readable file that holds the cluster's token"
            ) from None


Settings = TypeVar("Settings", bound=BaseSettings)


def load_settings(kind: type[Settings]) -> Settings:
    """Settings from the environment. Raises BadSettings: one sentence for each wrong variable."""
    try:
        return kind()
    except ValidationError as error:
        raise BadSettings(
            "; ".join(_sentence(kind, e["loc"], e["msg"]) for e in error.errors())
        ) from None


def environment_name(kind: type[BaseSettings], field: str) -> str:
    """The environment variable a field is read from."""
    alias = kind.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias) if alias else f"{kind.model_config.get('env_prefix', '')}{field}".upper()


def _sentence(kind: type[BaseSettings], location: tuple[int | str, ...], message: str) -> str:
    names = {environment_name(kind, f): f for f in kind.model_fields}
    variable = str(location[0]) if location else "settings"
    field = names.get(variable, variable.lower().removeprefix("pioneer_"))
    if field in kind.model_fields:
        variable = environment_name(kind, field)
        about = kind.model_fields[field].description or ""
    else:
        about = ""
    problem = "is not set" if message == "Field required" else message.removeprefix("Value error, ")
    return f"{variable}: {problem}. {about}".strip()
