"""The AsyncAPI document of all five services: ``python -m shared.asyncapi > docs/asyncapi.json``.

Channels and payloads come from the events, who receives what comes from the subscribers of the
services' apps. Nothing is connected to.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from services import SERVICES, load
from shared.events import EVENTS, TOPICS, Event

# Names in the document only: the apps are built, but never started.
ADDRESSES = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "MONGODB_URI": "mongodb://mongo:27017",
    "RAY_ADDRESS": "http://ray-head:8265",
    "ARTIFACTS_URI": "memory://artifacts",
}
CLOUD_EVENT = ("specversion", "id", "type", "source", "subject", "time")


def document() -> dict[str, Any]:
    """All channels with their payloads, and one receive operation for each subscription."""
    _, schemas = models_json_schema(
        [(event, "validation") for event in EVENTS], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Pioneer", "version": "1", "description": "Delivery is at least once."},
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {"host": ADDRESSES["KAFKA_BOOTSTRAP_SERVERS"], "protocol": "kafka"},
        },
        "channels": {event.topic: _channel(event) for event in EVENTS},
        "operations": {
            f"{service}.{topic}": _receive(topic)
            for service in SERVICES
            for topic in subscribed_topics(service)
        },
        "components": {
            "messages": {event.__name__: _message(event) for event in EVENTS},
            "schemas": {**schemas["$defs"], "CloudEventHeaders": _headers()},
        },
    }


def subscribed_topics(service: str) -> Iterator[str]:
    """The topics a service's app subscribes to, in the order of ``EVENTS``."""
    found = {channel.get("address") for channel in app_document(service)["channels"].values()}
    return (topic for topic in TOPICS if topic in found)


def app_document(service: str) -> dict[str, Any]:
    """What FastStream itself knows of one service; also served at ``/docs/asyncapi``."""
    kind, create_app = load(service)
    app = create_app(kind.model_validate(ADDRESSES))
    return app.schema.to_specification().to_jsonable()


def _channel(event: type[Event]) -> dict[str, Any]:
    name = event.__name__
    return {
        "address": event.topic,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"kafka": {"topic": event.topic, "bindingVersion": "0.5.0"}},
    }


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.__name__,
        "summary": (event.__doc__ or "").partition("\n")[0],
        "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "The model's name."},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _receive(topic: str) -> dict[str, Any]:
    # A channel's key holds dots only, which a JSON pointer takes as they are.
    return {"action": "receive", "channel": {"$ref": f"#/channels/{topic}"}}


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "CloudEvents 1.0 attributes in Kafka's binary mode.",
        "properties": {f"ce_{name}": {"type": "string"} for name in CLOUD_EVENT}
        | {"content-type": {"const": "application/json"}},
    }


def main() -> None:
    """Write the document to standard output."""
    json.dump(document(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
