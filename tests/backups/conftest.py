import asyncio
import shutil
from pathlib import Path

import pyrage
import pytest

from gateway.clock import Clock
from gateway.master_key import unlock
from gateway.settings import Settings
from storage import Transaction, events, open_store
from tests.backups.scene import House
from tests.fakes.clock import FakeClock
from tests.storage.scene import build, post


def _furnish(tx: Transaction) -> None:
    scene = build(tx)
    for number in range(1, 4):
        post(tx, scene, f"msg_{number}")
        events.record(tx, scene.account_id, "message.sent", now=FakeClock().now())


async def _made(folder: Path, clock: Clock) -> None:
    settings = Settings(database=folder / "gateway.db")
    async with open_store(settings.database) as store:
        await unlock(store, settings, clock)
        await store.write(_furnish)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database and its key: a school, three letters that have not left."""
    folder = tmp_path_factory.mktemp("furnished")
    asyncio.run(_made(folder, FakeClock()))
    return folder


@pytest.fixture
def house(furnished: Path, tmp_path: Path) -> House:
    folder = tmp_path / "data"
    shutil.copytree(furnished, folder)
    return House(folder=folder, clock=FakeClock())


@pytest.fixture(scope="session")
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()
