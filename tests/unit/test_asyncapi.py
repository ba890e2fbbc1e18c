"""The AsyncAPI document is current, and tells what the services really do."""

import json
from pathlib import Path
from typing import Any

import pytest

from services import SERVICES
from shared.asyncapi import app_document, document, subscribed_topics
from shared.events import EVENTS, TOPICS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return document()


def resolve(api: dict[str, Any], reference: str) -> Any:
    found: Any = api
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return found


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [r for value in node.values() for r in references(value)]
    return [r for value in node for r in references(value)] if isinstance(node, list) else []


def test_the_file_is_current(api: dict[str, Any]) -> None:
    committed = json.loads((ROOT / "docs/asyncapi.json").read_text())
    assert committed == api, "run: python -m shared.asyncapi > docs/asyncapi.json"


def test_every_topic_has_its_events_schema(api: dict[str, Any]) -> None:
    assert list(api["channels"]) == list(TOPICS)
    for event in EVENTS:
        (message,) = api["channels"][event.topic]["messages"].values()
        payload = resolve(api, resolve(api, message["$ref"])["payload"]["$ref"])
        assert payload["title"] == event.__name__
        assert set(payload["properties"]) == set(event.model_fields)


def test_every_reference_leads_somewhere(api: dict[str, Any]) -> None:
    for reference in references(api):
        assert resolve(api, reference) is not None


def test_every_subscription_is_an_operation(api: dict[str, Any]) -> None:
    receives = {(n.partition(".")[0], n.partition(".")[2]) for n in api["operations"]}
    assert receives == {(s, topic) for s in SERVICES for topic in subscribed_topics(s)}
    assert ("diagnoser", "inference.traces") in receives
    assert ("trainer", "trainingset.synthesized") in receives
    assert ("verifier", "candidates.trained") in receives
    assert ("controller", "candidates.verified") in receives


@pytest.mark.parametrize("service", ["synthesizer", "trainer", "verifier", "controller"])
def test_subscribers_decode_the_event_of_their_topic(service: str) -> None:
    seen = app_document(service)
    events = {event.topic: event for event in EVENTS}
    for topic in subscribed_topics(service):
        (message,) = seen["channels"][topic]["messages"].values()
        payload = resolve(seen, message["$ref"])["payload"]
        assert payload["$ref"] == f"#/components/schemas/{events[topic].__name__}"
