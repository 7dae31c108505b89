from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import storage
from tests.fakes.clock import FakeClock
from tests.http.scene import Scene, build
from tests.pages.desk import Desk


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with storage.open_store(tmp_path / "gateway.db") as store:
        yield await build(store, FakeClock())


@pytest.fixture
async def stranger(scene: Scene) -> AsyncIterator[Desk]:
    """Somebody who has not signed in."""
    async with scene.client(key="") as browser:
        yield Desk(scene, browser)


@pytest.fixture
async def desk(stranger: Desk) -> Desk:
    """Somebody whose key may do all."""
    await stranger.sign_in()
    return stranger
