"""What holds for every connection, and when a file is not opened."""

import asyncio
import sqlite3
import stat
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import storage
from storage import Transaction, accounts
from storage.transaction import microseconds, moment
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import raw

PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def pragmas(tx: Transaction) -> dict[str, object]:
    return {name: tx.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def put(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


class TestConnections:
    async def test_the_writer_is_as_careful_as_can_be(self, store: storage.Store) -> None:
        assert await store.write(pragmas) == PRAGMAS

    async def test_every_reader_is_set_up_alike(self, path: Path) -> None:
        meeting = threading.Barrier(3)

        def meet_and_look(tx: Transaction) -> dict[str, object]:
            meeting.wait(timeout=30)  # three at once, so each on a connection of its own
            return pragmas(tx)

        async with storage.open_store(path, readers=3) as store:
            found = await asyncio.gather(*(store.read(meet_and_look) for _ in range(3)))
        assert found == [PRAGMAS] * 3

    async def test_a_reader_cannot_write(self, store: storage.Store) -> None:
        with pytest.raises(storage.StorageUnavailable, match="readonly"):
            await store.read(accounts.add, "SELMA", now=A_MONDAY)

    async def test_a_reader_sees_one_snapshot_while_others_write(self, store: storage.Store) -> None:
        looked, written = threading.Event(), threading.Event()

        def look_twice(tx: Transaction) -> tuple[int, int]:
            before = len(accounts.all_of_them(tx))
            looked.set()
            written.wait(timeout=30)
            return before, len(accounts.all_of_them(tx))

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(store.read(look_twice))
            await asyncio.to_thread(looked.wait, 30)
            await store.write(accounts.add, "SELMA", now=A_MONDAY)
            written.set()
        assert reading.result() == (0, 0)
        assert len(await store.read(accounts.all_of_them)) == 1

    async def test_a_read_that_fails_leaves_its_reader_usable(self, path: Path) -> None:
        def break_it(tx: Transaction) -> None:
            tx.execute("SELECT * FROM nowhere")

        async with storage.open_store(path, readers=1) as store:
            for _ in range(3):
                with pytest.raises(sqlite3.OperationalError, match="no such table") as broken:
                    await store.read(break_it)
                assert broken.value.__cause__ is None
            assert await store.read(accounts.all_of_them) == []

    async def test_more_reads_than_readers_wait_their_turn(self, path: Path) -> None:
        async with storage.open_store(path, readers=1) as store:
            assert await asyncio.gather(*(store.read(accounts.all_of_them) for _ in range(20))) == [[]] * 20

    async def test_arguments_reach_the_work(self, store: storage.Store) -> None:
        account = await store.write(accounts.add, "SELMA", now=A_MONDAY)
        assert await store.read(accounts.get_by_name, "SELMA") == account


class TestFile:
    async def test_only_its_owner_can_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "data" / "gateway.db"
        async with storage.open_store(path) as store:
            await store.write(accounts.add, "SELMA", now=A_MONDAY)
            files = {one.name: mode(one) for one in path.parent.iterdir()}
        assert mode(path.parent) == 0o700
        assert files == dict.fromkeys(["gateway.db", "gateway.db-wal", "gateway.db-shm", "gateway.db.lock"], 0o600)

    async def test_a_file_that_was_readable_by_others_is_closed_to_them(self, path: Path) -> None:
        put(path, b"", mode=0o644)
        async with storage.open_store(path):
            assert mode(path) == 0o600

    async def test_a_second_gateway_is_turned_away_until_the_first_has_ended(self, path: Path) -> None:
        async with storage.open_store(path):
            with pytest.raises(storage.InUse, match="Stop that one first"):
                async with storage.open_store(path):
                    pytest.fail("two gateways on one outbox")
        async with storage.open_store(path) as store:
            assert await store.read(accounts.all_of_them) == []

    async def test_the_command_line_works_beside_a_running_gateway(self, path: Path) -> None:
        async with storage.open_store(path) as gateway, storage.open_store(path, alone=False) as tool:
            await tool.write(accounts.add, "by command line", now=A_MONDAY)
            await gateway.write(accounts.add, "by gateway", now=A_MONDAY)
            assert {account.name for account in await tool.read(accounts.all_of_them)} == {
                "by command line",
                "by gateway",
            }

    async def test_the_command_line_does_not_change_the_tables_under_a_running_gateway(self, path: Path) -> None:
        async with storage.open_store(path):
            with raw(path) as newer_release:
                newer_release.execute("PRAGMA user_version = 0")  # to whom this file looks old
            with pytest.raises(storage.InUse):
                async with storage.open_store(path, alone=False):
                    pytest.fail("migrated while in use")

    async def test_a_folder_that_cannot_be_made_is_said_plainly(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(storage.StorageUnavailable, match="cannot be opened"):
            async with storage.open_store(tmp_path / "file" / "gateway.db"):
                pytest.fail("opened")

    @pytest.mark.parametrize(
        "content", [b"not a database at all, but long enough to look like one", b"SQLite format 3\0x"]
    )
    async def test_a_file_that_is_no_database_is_said_plainly(self, path: Path, content: bytes) -> None:
        put(path, content * 40)
        with pytest.raises(storage.StorageUnavailable, match="cannot be opened"):
            async with storage.open_store(path):
                pytest.fail("opened")

    async def test_a_store_that_could_not_be_opened_is_not_kept_locked(self, path: Path) -> None:
        put(path, b"no database" * 100)
        with pytest.raises(storage.StorageUnavailable):
            async with storage.open_store(path):
                pytest.fail("opened")
        put(path, b"")
        async with storage.open_store(path) as store:
            assert await store.read(accounts.all_of_them) == []


class TestLockedOut:
    async def test_a_write_that_finds_the_file_locked_for_long_is_unavailable_and_the_next_one_works(
        self, path: Path
    ) -> None:
        async with storage.open_store(path) as store:
            await store.write(lambda tx: tx.execute("PRAGMA busy_timeout = 1"))
            with ExitStack() as stack:
                other = stack.enter_context(raw(path))
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(storage.StorageUnavailable, match="locked"):
                    await store.write(accounts.add, "SELMA", now=A_MONDAY)
                other.execute("ROLLBACK")
            await store.write(accounts.add, "SELMA", now=A_MONDAY)
            assert len(await store.read(accounts.all_of_them)) == 1


class TestTimes:
    def test_microseconds_survive(self) -> None:
        at = A_MONDAY.replace(microsecond=123_457)
        assert moment(microseconds(at)) == at

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no time zone"):
            microseconds(A_MONDAY.replace(tzinfo=None))

    async def test_it_is_refused_on_its_way_into_a_row_too(self, store: storage.Store) -> None:
        with pytest.raises(ValueError, match="no time zone"):
            await store.write(accounts.add, "SELMA", now=A_MONDAY.replace(tzinfo=None))
        assert await store.read(accounts.all_of_them) == []
