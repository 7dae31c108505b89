"""Files of other releases."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import storage
from storage import accounts
from storage.migrate import Migration, bring_up_to_date, is_up_to_date, released
from storage.transaction import Transaction
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import raw

FIRST = released()[-1].version
NEXT = Migration(
    version=FIRST + 1,
    name=f"{FIRST + 1:04}_made_up.sql",
    script="""
    ALTER TABLE accounts ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue' CHECK (colour <> '');
    CREATE TABLE colours (account_id TEXT NOT NULL REFERENCES accounts (id), name TEXT NOT NULL) STRICT;
    CREATE INDEX colours_of_account ON colours (account_id);
    """,
)
BROKEN = Migration(
    version=FIRST + 2,
    name=f"{FIRST + 2:04}_broken.sql",
    script="CREATE TABLE half (id INTEGER); INSERT INTO nowhere VALUES (1);",
)


@pytest.fixture
def connection(path: Path) -> Iterator[Transaction]:
    with closing(sqlite3.connect(path, factory=Transaction, isolation_level=None)) as connection:
        yield connection


def schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return [
        tuple(row) for row in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    ]


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_the_scripts_are_numbered_without_a_gap() -> None:
    assert [step.version for step in released()] == list(range(1, len(released()) + 1))


async def test_a_fresh_file_is_up_to_date(store: storage.Store, path: Path) -> None:
    with raw(path) as connection:
        assert version(connection) == FIRST
        assert is_up_to_date(connection)


async def test_opening_again_changes_nothing(path: Path) -> None:
    async with storage.open_store(path) as store:
        account = await store.write(accounts.add, "SELMA", now=A_MONDAY)
    with raw(path) as connection:
        before = schema(connection)
    async with storage.open_store(path) as store:
        assert await store.read(accounts.all_of_them) == [account]
    with raw(path) as connection:
        assert schema(connection) == before


@pytest.mark.parametrize("old", range(FIRST + 1))
def test_a_file_of_any_older_release_becomes_as_a_fresh_one(old: int, connection: Transaction) -> None:
    every_step = [*released(), NEXT]
    bring_up_to_date(connection, every_step[:old] or [Migration(version=0, name="none", script="")])
    assert version(connection) == old
    bring_up_to_date(connection, every_step)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        bring_up_to_date(fresh, every_step)
        assert schema(connection) == schema(fresh)
        assert version(connection) == version(fresh) == NEXT.version


def test_rows_of_an_older_release_are_still_there(connection: Transaction) -> None:
    bring_up_to_date(connection)
    account = accounts.add(connection, "SELMA", now=A_MONDAY)
    bring_up_to_date(connection, [*released(), NEXT])
    assert accounts.get(connection, account.id) == account


def test_a_step_is_taken_once(connection: Transaction) -> None:
    steps = [*released(), NEXT]
    bring_up_to_date(connection, steps)
    before = schema(connection)
    assert bring_up_to_date(connection, steps) == NEXT.version
    assert schema(connection) == before


def test_a_step_that_fails_leaves_the_file_as_it_was(connection: Transaction) -> None:
    bring_up_to_date(connection)
    before = schema(connection)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        bring_up_to_date(connection, [*released(), BROKEN])
    assert not connection.in_transaction
    assert (version(connection), schema(connection)) == (FIRST, before)


def test_the_steps_before_the_one_that_fails_stand(connection: Transaction) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        bring_up_to_date(connection, [*released(), NEXT, BROKEN])
    assert version(connection) == NEXT.version


async def test_a_file_from_a_newer_release_is_refused_and_left_alone(store: storage.Store, tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    with raw(path) as connection:
        bring_up_to_date(connection, [*released(), NEXT])
        before = schema(connection)
    for alone in (True, False):
        with pytest.raises(storage.SchemaTooNew, match=rf"version {NEXT.version}.*versions up to {FIRST}"):
            async with storage.open_store(path, alone=alone):
                pytest.fail("opened")
    with raw(path) as connection:
        assert (version(connection), schema(connection)) == (NEXT.version, before)
