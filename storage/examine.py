"""Looking at a file beside a running gateway, or at one that cannot be opened any more: nothing is changed."""

import fcntl
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from storage.migrate import released
from storage.transaction import Transaction, moment_or_none

PATIENCE_S: Final = 2.0
STEPS: Final = 1_000  # of SQLite's machine, between two looks at the time
MOST: Final = 5  # things that are wrong, told of

VERSION: Final = "PRAGMA user_version"
QUICK: Final = f"PRAGMA quick_check({MOST})"
WHOLE: Final = f"PRAGMA integrity_check({MOST})"
FOREIGN_KEYS: Final = "PRAGMA foreign_key_check"
LAST_EVENT: Final = "SELECT max(created_at) FROM events"
# The rank of 1 compares the index with what is searched, too: https://www.sqlite.org/fts5.html#the_integrity_check_command
SEARCH_INDEX: Final = "INSERT INTO search (search, rank) VALUES ('integrity-check', 1)"


@contextmanager
def looked_at(path: Path) -> Iterator[Transaction]:
    """The file, to be read alone. Raises sqlite3.Error."""
    with closing(_open(path, "ro")) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield connection


def version_of(tx: Transaction) -> int:
    """Of the tables. Raises sqlite3.Error."""
    return int(tx.execute(VERSION).fetchone()[0])


def newest_version() -> int:
    """That this release knows."""
    return released()[-1].version


def damage(tx: Transaction, *, whole: bool) -> list[str]:
    """What is wrong with the file, in SQLite's words; `whole`: indexes and references too. Raises sqlite3.Error."""
    found = [str(row[0]) for row in tx.execute(WHOLE if whole else QUICK) if row[0] != "ok"]
    if whole:
        strays = tx.execute(FOREIGN_KEYS).fetchmany(MOST)
        found += [f"a row of {row['table']} names a row of {row['parent']} that is not there" for row in strays]
    return found


def damage_within(tx: Transaction, seconds: float, *, now: Callable[[], float] = time.monotonic) -> list[str] | None:
    """As `damage`, quickly; None when no end was reached in that time. Raises sqlite3.Error."""
    ends = now() + seconds
    tx.set_progress_handler(lambda: now() > ends, STEPS)
    try:
        return damage(tx, whole=False)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    finally:
        tx.set_progress_handler(None, 0)


def damage_of_search(path: Path) -> str | None:
    """What is wrong with the search index; it takes the write lock meanwhile. Raises sqlite3.Error."""
    with closing(_open(path, "rw")) as tx:
        tx.execute("BEGIN IMMEDIATE")
        try:
            tx.execute(SEARCH_INDEX)
        except sqlite3.DatabaseError as error:
            if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_CORRUPT:
                raise
            return str(error)
        finally:
            tx.execute("ROLLBACK")
    return None


def newest_event(tx: Transaction) -> datetime | None:
    """When the last event was recorded, by the clock of that time. Raises sqlite3.Error."""
    return moment_or_none(tx.execute(LAST_EVENT).fetchone()[0])


def is_held(path: Path) -> bool:
    """Whether a gateway has this file open. Raises OSError."""
    lock = Path(f"{path}.lock")
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _open(path: Path, mode: str) -> Transaction:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        factory=Transaction,
        isolation_level=None,
        timeout=PATIENCE_S,
    )
