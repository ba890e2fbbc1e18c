"""Real parts: those the environment names (KAFKA_BOOTSTRAP_SERVERS, …), else embedded."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from shared.adapters import mongo
from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.mongo import MongoDocuments
from shared.local import LocalStack
from shared.local.services import ServiceProcesses, service_environment
from tests.connected.story import Answered, Storyteller, answer_traffic

# Small thresholds, one iteration: these tests are about the loop, not about how good it gets.
SETTINGS = {
    "PIONEER_MIN_FAILURES": "12",
    "PIONEER_QUIET_SECONDS": "4",
    "PIONEER_MAX_ITERATIONS": "1",
    "PIONEER_POLL_SECONDS": "0.5",
    "PIONEER_LOG_FORMAT": "text",
    # Another processor rounds differently; the limit of 2 is tested where nothing is random.
    "PIONEER_EPSILON": "6",
}


@dataclass(frozen=True)
class Stack:
    """Where the parts are, and how to start a process of ours beside them."""

    local: LocalStack
    kafka: str
    variables: dict[str, str]


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    home = tmp_path_factory.mktemp("stack")
    local = LocalStack(
        home,
        kafka=os.environ.get("KAFKA_BOOTSTRAP_SERVERS"),
        mongodb=os.environ.get("MONGODB_URI"),
        ray=os.environ.get("RAY_ADDRESS"),
    )
    async with local as endpoints:
        variables = service_environment(local, endpoints) | SETTINGS
        # Given parts may hold the data of an earlier session.
        variables["MONGODB_DATABASE"] = f"pioneer-test-{uuid4().hex[:8]}"
        yield Stack(local, endpoints.kafka, variables)


@pytest.fixture(scope="session")
def artifacts(stack: Stack) -> FsspecArtifacts:
    return FsspecArtifacts(stack.variables["ARTIFACTS_URI"])


@pytest.fixture(scope="session")
async def services(stack: Stack) -> AsyncIterator[ServiceProcesses]:
    async with ServiceProcesses(stack.local, stack.variables) as processes:
        yield processes


@pytest.fixture(scope="session")
async def documents(stack: Stack) -> AsyncIterator[MongoDocuments]:
    store = mongo.connect(stack.variables["MONGODB_URI"], stack.variables["MONGODB_DATABASE"])
    yield store
    store.close()


@pytest.fixture(scope="session")
async def answered(stack: Stack, artifacts: FsspecArtifacts) -> Answered:
    """A first model, really trained on few rows, and what it answers to the traffic."""
    return await answer_traffic(stack.variables, artifacts)


@pytest.fixture
async def storyteller(
    stack: Stack,
    services: ServiceProcesses,
    documents: MongoDocuments,
    answered: Answered,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Storyteller]:
    """Tells one model's story: a model of its own for each test."""
    name = f"{request.node.name}-{uuid4().hex[:6]}".replace("[", "-").replace("]", "")
    teller = Storyteller(name, stack.variables, services, documents, answered)
    async with teller.listening():
        yield teller


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2]
