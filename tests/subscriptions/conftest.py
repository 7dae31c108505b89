from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import storage
from tests.fakes.clock import FakeClock
from tests.fakes.graph_subscriptions import FakeGraph
from tests.subscriptions.scene import Scene, build


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def graph(clock: FakeClock) -> FakeGraph:
    return FakeGraph(clock)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[storage.Store]:
    async with storage.open_store(tmp_path / "gateway.db") as store:
        yield store


@pytest.fixture
async def scene(store: storage.Store, clock: FakeClock, graph: FakeGraph) -> Scene:
    return await build(store, clock, graph)
