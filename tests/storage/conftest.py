import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import storage
from storage import Transaction
from storage.migrate import bring_up_to_date
from tests.fakes.clock import FakeClock
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
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        bring_up_to_date(connection)
        yield connection


@pytest.fixture
def scene(tx: Transaction) -> Scene:
    """A school in it."""
    return build(tx)
