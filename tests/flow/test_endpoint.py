"""Probes are asked where the deployed model answers over HTTP; its adapter answers otherwise."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest

from services.diagnoser.adapters.http_endpoint import HttpEndpoint
from shared.domain.ids import derive_id
from shared.events import FailuresDiagnosed, RunClosed
from tests.fakes.compute import NearestRow
from tests.flow.conftest import House, built_house
from tests.flow.rows import LABELS
from tests.flow.test_loop import KNOWN, NEW, PASSES

URL = "http://desk:8200/v1"


@dataclass
class Serving:
    """The deployed model behind its endpoint."""

    version: int = 1
    status: int = 200
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        self.asked += texts
        outputs = NearestRow(KNOWN).predict(texts)
        answers = [{"output": output, "model_version": self.version} for output in outputs]
        return httpx.Response(self.status, json=answers)


@pytest.fixture
def serving() -> Serving:
    return Serving()


@pytest.fixture
async def reachable(tmp_path: Path, serving: Serving) -> AsyncIterator[House]:
    endpoint = partial(HttpEndpoint, transport=httpx.MockTransport(serving))
    async with built_house(tmp_path, endpoint=endpoint) as house:
        yield house


async def improve(house: House) -> FailuresDiagnosed:
    registered = await house.deploy(KNOWN, LABELS, endpoint=URL)
    await house.serve(PASSES + NEW, registered)
    await house.run_loops()
    assert [closed.outcome for closed in house.of(RunClosed)] == ["promoted"]
    [event] = house.of(FailuresDiagnosed)
    return event


def probe_jobs(house: House) -> list[str]:
    [snapshot] = [
        json.loads(job["cause"])["diagnosis_id"]
        for job in house.documents.collections["jobs"].values()
        if job["service"] == "diagnoser" and json.loads(job["spec"])["kind"] == "embed"
    ]
    return [
        job for job in house.documents.collections["jobs"] if job == derive_id("probe", snapshot)
    ]


async def test_the_endpoint_answers_the_probes(reachable: House, serving: Serving) -> None:
    event = await improve(reachable)
    files = reachable.artifacts.get_folder(event.diagnosis)
    probes = json.loads(files["probes.json"])
    assert sorted(serving.asked) == sorted(probe["text"] for probe in probes) != []
    assert probe_jobs(reachable) == []
    found = json.loads(files["confirmations.json"])
    assert sum(one["asked"] for one in found) == len(probes)
    assert any(one["failed"] for one in found)


@pytest.mark.parametrize("wrong", [{"status": 503}, {"version": 2}, {"status": 404}])
async def test_the_adapter_answers_where_the_endpoint_does_not(
    reachable: House, serving: Serving, wrong: dict[str, int]
) -> None:
    for name, value in wrong.items():
        setattr(serving, name, value)
    event = await improve(reachable)
    assert serving.asked
    assert len(probe_jobs(reachable)) == 1
    files = reachable.artifacts.get_folder(event.diagnosis)
    assert sum(one["asked"] for one in json.loads(files["confirmations.json"])) > 0
