"""A backup is put back with care: checked first, the old database kept, every open letter in doubt."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.backups.errors import Damaged, InTheWay, OtherMasterKey
from gateway.backups.restoring import restore
from gateway.master_key import unlock
from gateway.restored import Mark
from storage import InUse, Transaction, accounts, erasures, events, open_store
from storage.erasures import What
from storage.vault import MasterKey
from tests.backups.scene import House, something_happens, states

OPEN = {"msg_1": "accepted", "msg_2": "accepted", "msg_3": "accepted"}
IN_DOUBT = dict.fromkeys(OPEN, "unknown")


async def told_since(database: Path, seq: int) -> list[str]:
    async with open_store(database) as store:
        [account] = await store.read(accounts.all_of_them)
        return [one.type for one in await store.read(events.after, account.id, seq, limit=10)]


async def live_on(house: House) -> int:
    """The gateway works on after the backup; how far its log has come."""
    async with open_store(house.database) as store:
        for _ in range(3):
            await something_happens(store, house.clock)
        await Mark(house.database, store, house.clock).keep()
        return await store.read(events.newest)


@pytest.mark.parametrize("mark", ["survived", "is lost", "was put back too"])
async def test_every_open_letter_is_in_doubt_whether_or_not_the_mark_survived(house: House, mark: str) -> None:
    async with open_store(house.database) as store:
        await Mark(house.database, store, house.clock).keep()
    place = house.database.with_name("gateway.db.mark")
    old_mark, made = place.read_bytes(), house.back_up()
    assert await states(house.database) == OPEN
    seen = await live_on(house)
    if mark == "is lost":
        place.unlink()
    if mark == "was put back too":
        place.write_bytes(old_mark)
    done = await restore(made.path, house.settings, house.clock, force=True)
    assert done.doubted == 3
    assert await states(house.database) == IN_DOUBT
    assert await told_since(house.database, seen) == ["gateway.restored"], "under a number nobody has seen yet"
    async with open_store(house.database) as store:
        assert not await Mark(house.database, store, house.clock).look(), "they are doubted once"
        await unlock(store, house.settings, house.clock)


async def test_on_a_new_machine_the_log_goes_on_behind_all_that_can_have_been_seen(house: House) -> None:
    made, log, seen = house.back_up(), house.database.with_name("gateway.db-wal"), 0
    for _ in range(2):
        async with open_store(house.database) as store:
            await something_happens(store, house.clock)
            left_behind = log.read_bytes()
            assert await store.read(events.newest) > seen
            seen = await store.read(events.newest)
        for path in house.folder.glob("gateway.db*"):
            path.unlink()
        log.write_bytes(left_behind)  # SQLite would write it into whatever database it finds there
        house.clock.advance(timedelta(seconds=1))
        done = await restore(made.path, house.settings, house.clock)
        assert (done.aside, done.doubted) == (None, 3)
        assert await told_since(house.database, seen) == ["gateway.restored"]
        assert await states(house.database) == IN_DOUBT


async def test_the_old_database_is_put_aside_whole_and_nothing_else_is_left(house: House) -> None:
    made = house.back_up()
    seen = await live_on(house)
    done = await restore(made.path, house.settings, house.clock, force=True)
    assert done.aside is not None
    assert house.leftovers() == {done.aside.name}
    assert done.aside.stat().st_mode & 0o777 == house.database.stat().st_mode & 0o777 == 0o600
    async with open_store(done.aside) as store:
        assert await store.read(events.newest) == seen
    again = await restore(made.path, house.settings, house.clock, force=True)
    assert again.aside is not None
    assert again.aside != done.aside, "nothing that was put aside is written over"


async def test_an_old_database_that_nobody_can_read_is_put_aside_with_its_log(house: House) -> None:
    made = house.back_up()
    house.database.write_bytes(b"no database at all")
    log = house.database.with_name("gateway.db-wal")
    log.write_bytes(b"and no log")
    done = await restore(made.path, house.settings, house.clock, force=True)
    assert done.aside is not None
    assert done.aside.read_bytes() == b"no database at all"
    assert await states(house.database) == IN_DOUBT


async def test_it_is_refused_beside_a_running_gateway_and_over_a_database_without_force(house: House) -> None:
    made = house.back_up()
    with pytest.raises(InTheWay, match="--force"):
        await restore(made.path, house.settings, house.clock)
    async with open_store(house.database):
        with pytest.raises(InUse, match="Stop that one first"):
            await restore(made.path, house.settings, house.clock, force=True)
    assert await states(house.database) == OPEN


async def test_nothing_is_touched_when_the_backup_is_not_good(house: House) -> None:
    made, before = house.back_up(), house.database.read_bytes()
    whole = made.path.read_bytes()
    made.path.write_bytes(whole[:-1])
    with pytest.raises(Damaged):
        await restore(made.path, house.settings, house.clock, force=True)
    made.path.write_bytes(whole)
    shutil.move(house.folder / "master.key", house.folder / "elsewhere")
    house.more["master_key"] = MasterKey.new()
    with pytest.raises(OtherMasterKey):
        await restore(made.path, house.settings, house.clock, force=True)
    assert house.database.read_bytes() == before
    assert house.leftovers() == {"elsewhere"}


async def test_erasures_that_a_restore_takes_back_are_named(house: House) -> None:
    made = house.back_up()

    def erased(tx: Transaction) -> str:
        [account] = accounts.all_of_them(tx)
        now = house.clock.now() + timedelta(hours=1)
        return erasures.insert(
            tx, account.id, what=What.OBJECTS, objects=[], reason="asked", done_by=None, removed={}, now=now
        )

    async with open_store(house.database) as store:
        receipt = await store.write(erased)
    done = await restore(made.path, house.settings, house.clock, force=True)
    assert done.erased_since == (receipt,)
