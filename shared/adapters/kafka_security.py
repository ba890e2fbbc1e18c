"""How to prove to Kafka who we are: the same for FastStream and for plain clients."""

import ssl
from typing import Any

from faststream.security import BaseSecurity, SASLScram512

from shared.settings import KafkaSettings


def broker_security(settings: KafkaSettings) -> BaseSecurity | None:
    """For a FastStream broker."""
    context = _context(settings)
    if settings.kafka_sasl_username and settings.kafka_sasl_password:
        return SASLScram512(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            use_ssl=context is not None,
            ssl_context=context,
        )
    return BaseSecurity(use_ssl=True, ssl_context=context) if context else None


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """For an aiokafka client: the address and the security."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _context(settings),
    }
    if settings.kafka_sasl_username and settings.kafka_sasl_password:
        options |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


def _context(settings: KafkaSettings) -> ssl.SSLContext | None:
    encrypted = settings.kafka_security_protocol.endswith("SSL")
    return ssl.create_default_context() if encrypted else None
