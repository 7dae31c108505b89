"""The write-ahead log stays short, also while somebody always reads."""

import asyncio
import threading
from pathlib import Path

import storage
from storage import Transaction
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import raw

PIECE = 256 * 1024
LONG = 8 * 1024 * 1024


def fill(tx: Transaction, name: str) -> None:
    tx.execute(
        "INSERT INTO accounts (id, name, cloud, time_zone, token_state, created_at, updated_at)"
        " VALUES (:id, :name, 'global', :much, 'unknown', :now, :now)",
        {"id": name, "name": name, "much": "x" * PIECE, "now": A_MONDAY},
    )


def read(tx: Transaction) -> int:
    return int(tx.execute("SELECT count(*) FROM accounts").fetchone()[0])


def read_long(tx: Transaction) -> None:
    read(tx)
    tx.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT max(i) FROM n"
    ).fetchone()


async def test_the_log_is_cut_between_two_reads_however_many_follow_each_other(path: Path) -> None:
    async with storage.open_store(path, long_log_bytes=LONG) as store:
        over = asyncio.Event()

        async def keep_reading() -> None:
            while not over.is_set():
                await store.read(read_long)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(keep_reading())
            longest = 0
            for number in range(3 * LONG // PIECE):
                await store.write(fill, str(number))
                longest = max(longest, path.with_name("gateway.db-wal").stat().st_size)
            over.set()
        assert longest < 1.5 * LONG
        assert await store.read(read) == 3 * LONG // PIECE


async def test_a_reader_from_outside_is_waited_for_only_shortly_and_nothing_is_lost(path: Path) -> None:
    async with storage.open_store(path, long_log_bytes=LONG) as store:
        await store.write(fill, "first")
        with raw(path) as outside:
            outside.execute("BEGIN")
            seen = outside.execute("SELECT count(*) FROM accounts").fetchone()
            for number in range(2 * LONG // PIECE):
                await store.write(fill, str(number))
            assert outside.execute("SELECT count(*) FROM accounts").fetchone() == seen
            outside.execute("ROLLBACK")
        for number in range(3 * LONG // PIECE):
            await store.write(fill, f"later {number}")
        assert path.with_name("gateway.db-wal").stat().st_size < 4 * LONG
        assert await store.read(read) == 1 + 5 * LONG // PIECE


async def test_two_who_cut_the_log_at_once_do_not_wait_for_each_other(path: Path) -> None:
    """As an erasure and the writer may, while all readers are at work."""
    may_end = [threading.Event(), threading.Event()]
    async with storage.open_store(path, readers=2) as store, asyncio.timeout(5), asyncio.TaskGroup() as group:
        reading = [group.create_task(store.read(lambda tx, one=one: one.wait(5))) for one in may_end]
        emptying = [group.create_task(store.empty_log()) for _ in range(2)]
        await group.create_task(store.write(read))  # of the same commit: now both want all turns
        for one, ends in zip(reading, may_end, strict=True):
            ends.set()
            await one
        assert [await one for one in emptying] == [True, True]


async def test_who_is_cancelled_while_it_waits_to_cut_the_log_gives_back_its_turns(path: Path) -> None:
    may_end = threading.Event()
    async with storage.open_store(path, readers=2) as store, asyncio.timeout(5), asyncio.TaskGroup() as group:
        reading = group.create_task(store.read(lambda tx: may_end.wait(5)))
        emptying = group.create_task(store.empty_log())
        await group.create_task(store.write(read))  # of the same commit: now it has one turn and wants the other
        emptying.cancel()
        may_end.set()
        await reading
        assert await store.empty_log()
