"""Databases in memory, with all tables, for tests that want one for each of hundreds of examples."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache

from storage.migrate import bring_up_to_date
from storage.transaction import Transaction


@cache
def _whole() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        bring_up_to_date(connection)
        return connection.serialize()


def opened() -> Transaction:
    """An empty one, as this release has it; whoever asks for it closes it."""
    tx = sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)
    tx.deserialize(_whole())
    tx.execute("PRAGMA foreign_keys = ON")
    return tx


@contextmanager
def a_database() -> Iterator[Transaction]:
    """The same, for as long as the block."""
    with closing(opened()) as tx:
        yield tx
