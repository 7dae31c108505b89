"""A disk that is full, provoked with SQLite's own limit on the file's size."""

import asyncio

import pytest

import storage
from storage import Transaction, accounts
from tests.fakes.clock import A_MONDAY


def fill(tx: Transaction) -> None:
    """Not one page more than there are now."""
    (pages,) = tx.execute("PRAGMA page_count").fetchone()
    tx.execute(f"PRAGMA max_page_count = {pages}")


def make_room(tx: Transaction) -> None:
    tx.execute("PRAGMA max_page_count = 1000000")


def write_much(tx: Transaction, name: str) -> None:
    accounts.add(tx, name + "x" * 100_000, now=A_MONDAY)


async def test_writes_are_unavailable_while_reads_go_on_and_all_is_well_again_without_a_restart(
    store: storage.Store,
) -> None:
    kept = await store.write(accounts.add, "before", now=A_MONDAY)
    await store.write(fill)
    for _ in range(3):
        with pytest.raises(storage.StorageUnavailable, match="full"):
            await store.write(write_much, "during")
        assert await store.read(accounts.all_of_them) == [kept]
    await store.write(make_room)
    await store.write(write_much, "after")
    assert len(await store.read(accounts.all_of_them)) == 2


async def test_everybody_who_waits_is_told_and_nothing_of_theirs_is_kept(store: storage.Store) -> None:
    await store.write(fill)
    outcomes = await asyncio.gather(
        *(store.write(write_much, f"{number}") for number in range(10)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [storage.StorageUnavailable] * 10
    assert await store.read(accounts.all_of_them) == []


async def test_what_was_not_kept_is_not_announced(store: storage.Store) -> None:
    def announce_and_write(tx: Transaction) -> None:
        tx.announce("accounts")
        write_much(tx, "during")

    await store.write(fill)
    with store.watching("accounts") as event:
        with pytest.raises(storage.StorageUnavailable):
            await store.write(announce_and_write)
        assert not event.is_set()
