from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import storage
from tests.fakes.clock import FakeClock
from tests.http.scene import Scene, build


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[storage.Store]:
    async with storage.open_store(tmp_path / "gateway.db") as store:
        yield store


@pytest.fixture
async def scene(store: storage.Store, clock: FakeClock) -> Scene:
    return await build(store, clock)


@pytest.fixture
async def api(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key may do all."""
    async with scene.client() as client:
        yield client
