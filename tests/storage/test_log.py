"""The write-ahead log stays short, also while somebody always reads."""

import asyncio
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
