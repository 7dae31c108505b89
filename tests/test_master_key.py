"""The master key: made at first start, needed ever after."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.master_key import unlock
from gateway.settings import Settings
from storage import WrongMasterKey, open_store
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=tmp_path / "data" / "gateway.db")


async def start(settings: Settings) -> MasterKey:
    async with open_store(settings.database) as store:
        return await unlock(store, settings, FakeClock())


async def test_the_first_start_makes_a_key_file_that_only_the_gateway_can_read(settings: Settings) -> None:
    key = await start(settings)
    key_file = settings.database.parent / "master.key"
    assert MasterKey.from_text(key_file.read_text()) == key
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


async def test_the_second_start_uses_the_same_key(settings: Settings) -> None:
    assert await start(settings) == await start(settings)


async def test_a_key_from_the_environment_makes_no_key_file(settings: Settings) -> None:
    key = MasterKey.new()
    assert await start(Settings(database=settings.database, master_key=key)) == key
    assert not (settings.database.parent / "master.key").exists()


def lose(key_file: Path) -> None:
    key_file.unlink()


def replace_with_another(key_file: Path) -> None:
    key_file.write_text(MasterKey.new().to_text())


def garble(key_file: Path) -> None:
    key_file.write_text("not a key")


def open_to_others(key_file: Path) -> None:
    key_file.chmod(0o644)


@pytest.mark.parametrize(
    ("spoil", "cure"),
    [
        (lose, "from its backup"),
        (replace_with_another, "the key it was set up with"),
        (garble, "from its backup"),
        (open_to_others, "chmod 600"),
    ],
)
async def test_a_start_with_a_spoilt_key_file_is_refused_with_the_cure(
    settings: Settings, spoil: Callable[[Path], None], cure: str
) -> None:
    await start(settings)
    spoil(settings.database.parent / "master.key")
    with pytest.raises(WrongMasterKey, match=cure):
        await start(settings)
