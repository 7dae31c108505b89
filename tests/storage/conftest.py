from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import storage
from storage import Transaction
from tests.fakes.clock import FakeClock
from tests.storage.fresh import a_database
from tests.storage.scene import Scene, build


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


@pytest.fixture
def tx() -> Iterator[Transaction]:
    """An open transaction on a fresh file of the newest release, in memory."""
    with a_database() as tx:
        yield tx


@pytest.fixture
def scene(tx: Transaction) -> Scene:
    """A school in it."""
    return build(tx)
