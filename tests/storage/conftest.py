from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import storage
from tests.fakes.clock import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[storage.Store]:
    async with storage.open_store(path) as store:
        yield store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
