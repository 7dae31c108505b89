from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import storage
from storage import accounts
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock
from tests.host.scene import Scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = FakeClock()
    async with storage.open_store(tmp_path / "gateway.db") as store:
        account = await store.write(accounts.add, "SELMA", now=clock.now())
        yield Scene(store=store, clock=clock, account_id=account.id, key=MasterKey.new())
