"""The TraceStore over a real database: the one the environment names, else the embedded one."""

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.diagnoser.adapters.mongo_traces import MongoTraces
from shared.adapters import mongo
from shared.local import LocalStack
from tests.trace_store_contract import Scene, TraceStoreContract

pytestmark = [pytest.mark.connected, pytest.mark.timeout(180)]

# An address that is given is used as it is: only the database is started.
ELSEWHERE = "elsewhere:1"


@pytest.fixture(scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MongoTraces]:
    local = LocalStack(
        tmp_path_factory.mktemp("database"),
        kafka=ELSEWHERE,
        mongodb=os.environ.get("MONGODB_URI"),
        ray=f"http://{ELSEWHERE}",
    )
    async with local as endpoints:
        documents = mongo.connect(endpoints.mongodb, f"pioneer-test-{uuid4().hex[:8]}")
        traces = MongoTraces(documents)
        await traces.prepare()
        yield traces
        documents.close()


class TestMongoTraces(TraceStoreContract):
    @pytest.fixture
    def scene(self, store: MongoTraces) -> Scene:
        return Scene(store)
