"""The TraceStore that tests use keeps the same contract as the real one."""

import pytest

from tests.fakes.documents import InMemoryTraces
from tests.trace_store_contract import Scene, TraceStoreContract


class TestInMemoryTraces(TraceStoreContract):
    @pytest.fixture
    def scene(self) -> Scene:
        return Scene(InMemoryTraces())
