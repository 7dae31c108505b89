from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import storage
from storage import accounts
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def key() -> MasterKey:
    return MasterKey.new()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[storage.Store]:
    async with storage.open_store(tmp_path / "gateway.db") as store:
        yield store


@pytest.fixture
async def account_id(store: storage.Store, clock: FakeClock) -> str:
    account = await store.write(accounts.add, "SELMA", now=clock.now())
    return account.id
