"""Questions that are asked on the event loop's own thread, because the way to another costs more than they do."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

import storage
from storage import Transaction, accounts
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import raw

ENDLESS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 3000000) "


class Witness:
    """Where a question was asked, each time that it was asked anew."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def quick(self, tx: Transaction) -> int:
        self.threads.append(threading.get_ident())
        return int(tx.execute("SELECT count(*) FROM accounts").fetchone()[0])

    def long(self, tx: Transaction) -> int:
        self.threads.append(threading.get_ident())
        return int(tx.execute(ENDLESS + "SELECT count(*) FROM numbers").fetchone()[0])

    def hindered(self, tx: Transaction) -> int:
        """As SQLite says that somebody is in the way; by the second time he has gone."""
        if not self.threads:
            self.threads.append(threading.get_ident())
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return self.quick(tx)

    @property
    def here(self) -> list[bool]:
        return [one == threading.get_ident() for one in self.threads]


async def test_a_glance_takes_no_other_thread(store: storage.Store) -> None:
    witness = Witness()

    assert await store.glance(witness.quick) == 0
    assert witness.here == [True]


async def test_a_glance_sees_what_was_committed_before_it_by_whichever_process(
    store: storage.Store, path: Path
) -> None:
    witness = Witness()
    assert await store.glance(witness.quick) == 0

    await store.write(lambda tx: accounts.add(tx, "of the gateway", now=A_MONDAY))
    assert await store.glance(witness.quick) == 1

    with raw(path) as connection, connection:
        connection.execute("UPDATE accounts SET id = 'acc_of_another_process'")
    seen = await store.glance(lambda tx: [one.id for one in accounts.all_of_them(tx)])
    assert seen == ["acc_of_another_process"]


async def test_a_glance_cannot_write(store: storage.Store) -> None:
    with pytest.raises(storage.StorageUnavailable, match="readonly"):
        await store.glance(lambda tx: tx.execute("DELETE FROM accounts"))


async def test_a_glance_that_turns_out_long_is_broken_off_and_asked_of_a_reader(store: storage.Store) -> None:
    witness = Witness()

    assert await store.glance(witness.long) == 3_000_000
    assert witness.here == [True, False]


async def test_the_loop_goes_on_while_a_reader_answers_a_long_question(store: storage.Store) -> None:
    turns = 0
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(store.glance(Witness().long))
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1

    assert turns > 100


async def test_whom_a_glance_finds_in_its_way_a_reader_waits_for(store: storage.Store) -> None:
    witness = Witness()

    assert await store.glance(witness.hindered) == 0
    assert witness.here == [True, False]


async def test_what_the_question_itself_raises_is_raised(store: storage.Store) -> None:
    def ask(tx: Transaction) -> None:
        raise LookupError("nobody of that name")

    with pytest.raises(LookupError, match="nobody of that name"):
        await store.glance(ask)


async def test_a_fault_of_the_question_is_not_asked_twice(store: storage.Store) -> None:
    asked = 0

    def ask(tx: Transaction) -> None:
        nonlocal asked
        asked += 1
        tx.execute("SELECT 1 FROM nowhere")

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await store.glance(ask)
    assert asked == 1


async def test_after_a_glance_the_log_can_be_emptied(store: storage.Store) -> None:
    """It leaves no snapshot open, also when of many rows only one was looked at."""
    for name in ("one", "another"):
        await store.write(lambda tx, name: accounts.add(tx, name, now=A_MONDAY), name)
    await store.glance(lambda tx: tx.execute("SELECT * FROM accounts").fetchone())

    assert await store.empty_log()
