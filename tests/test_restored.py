"""A database that is older than its mark was restored: its letters are looked for before they are sent."""

import shutil
from pathlib import Path

import pytest

from gateway.restored import Mark
from storage import Store, accounts, events, open_store, outbox
from tests.fakes.clock import FakeClock
from tests.storage.scene import build, post


async def letter_in(store: Store, message_id: str = "msg_1") -> str:
    """The state of a letter."""
    letter = await store.read(outbox.find, message_id)
    assert letter is not None
    return letter.state


async def something_happens(store: Store, clock: FakeClock) -> None:
    [account] = await store.read(accounts.all_of_them)
    await store.write(events.record, account.id, "message.sent", now=clock.now())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


async def run_and_back_up(database: Path, clock: FakeClock) -> Path:
    """A letter is accepted, a backup made, and then more happens; where the backup is."""
    async with open_store(database) as store:
        scene = await store.write(build)
        await store.write(post, scene)
        await something_happens(store, clock)
        await Mark(database, store, clock).keep()
    backup = database.with_name("backup.db")
    shutil.copy(database, backup)
    async with open_store(database) as store:
        await something_happens(store, clock)
        await Mark(database, store, clock).keep()
    return backup


async def test_a_restored_database_is_noticed_and_its_letters_are_in_doubt(database: Path, clock: FakeClock) -> None:
    backup = await run_and_back_up(database, clock)
    shutil.copy(backup, database)
    async with open_store(database) as store:
        assert await Mark(database, store, clock).look()
        assert await letter_in(store) == "unknown"


async def test_selma_is_told_under_a_number_that_it_cannot_have_seen_yet(database: Path, clock: FakeClock) -> None:
    backup = await run_and_back_up(database, clock)
    async with open_store(database) as store:
        seen = await store.read(events.newest)
    shutil.copy(backup, database)
    async with open_store(database) as store:
        await Mark(database, store, clock).look()
        [account] = await store.read(accounts.all_of_them)
        [told] = await store.read(events.after, account.id, seen, limit=10)
        assert told.type == "gateway.restored"


async def test_it_is_noticed_once_and_not_at_every_start(database: Path, clock: FakeClock) -> None:
    backup = await run_and_back_up(database, clock)
    shutil.copy(backup, database)
    async with open_store(database) as store:
        mark = Mark(database, store, clock)
        assert await mark.look()
        await mark.keep()
    async with open_store(database) as store:
        assert not await Mark(database, store, clock).look()


async def test_an_ordinary_restart_is_none(database: Path, clock: FakeClock) -> None:
    await run_and_back_up(database, clock)
    async with open_store(database) as store:
        assert not await Mark(database, store, clock).look()
        assert await letter_in(store) == "accepted"


async def test_what_happened_after_the_mark_was_written_is_no_restoring(database: Path, clock: FakeClock) -> None:
    await run_and_back_up(database, clock)
    async with open_store(database) as store:
        await something_happens(store, clock)
        assert not await Mark(database, store, clock).look()


async def test_a_first_start_has_no_mark(database: Path, clock: FakeClock) -> None:
    async with open_store(database) as store:
        assert not await Mark(database, store, clock).look()


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'{"newest_event": "x"}', b"\xff\xfe"])
async def test_a_mark_that_cannot_be_read_keeps_nobody_from_starting(
    database: Path, clock: FakeClock, content: bytes
) -> None:
    await run_and_back_up(database, clock)
    database.with_name("gateway.db.mark").write_bytes(content)
    async with open_store(database) as store:
        assert not await Mark(database, store, clock).look()


async def test_the_mark_is_the_owners_alone(database: Path, clock: FakeClock) -> None:
    await run_and_back_up(database, clock)
    assert database.with_name("gateway.db.mark").stat().st_mode & 0o077 == 0


async def test_a_folder_that_cannot_be_written_is_no_trouble_for_letters(database: Path, clock: FakeClock) -> None:
    async with open_store(database) as store:
        await store.write(build)
        await something_happens(store, clock)
        database.with_name("gateway.db.mark.new").mkdir()
        await Mark(database, store, clock).keep()
        assert not database.with_name("gateway.db.mark").exists()
