"""What can go wrong here.

StorageError
├── NotFound            no such row, or not this account's
├── AlreadyExists       a row like this is there
├── Conflict            the row is not in a state that allows this
├── StorageUnavailable  the file cannot be written or read now: full disk, I/O error, lock
├── SchemaTooNew        the file comes from a newer release
├── WrongMasterKey      the key at hand does not open what is stored
└── InUse               another gateway has this file open

Of SQLite's own errors those that an operator can mend become `StorageUnavailable`; the others are bugs, and stay what
they are.
"""

import sqlite3
from typing import Final


class StorageError(Exception):
    """The parent of all of these; its text is a sentence for people."""


class NotFound(StorageError):
    """No such row in this account."""


class AlreadyExists(StorageError):
    """A row like this is there."""


class Conflict(StorageError):
    """The row is not in a state that allows this."""


class StorageUnavailable(StorageError):
    """The file cannot be written or read now. Nothing of the failed work is kept."""


class SchemaTooNew(StorageError):
    """The file comes from a newer release of the gateway."""


class WrongMasterKey(StorageError):
    """The master key at hand does not open what is stored."""


class InUse(StorageError):
    """Another gateway process has this file open."""


OUTSIDE_TROUBLE: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)


def is_outside_trouble(error: sqlite3.DatabaseError) -> bool:
    """Whether the disk, or who else uses the file, is to blame and not what was asked."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in OUTSIDE_TROUBLE


def as_unavailable(error: BaseException) -> Exception:
    """Trouble an operator can mend becomes `StorageUnavailable`; anything else stays what it is."""
    if isinstance(error, sqlite3.DatabaseError) and is_outside_trouble(error):
        unavailable = StorageUnavailable(f"The database cannot be used now: {error}.")
        unavailable.__cause__ = error
        return unavailable
    if isinstance(error, StopIteration):  # no future takes one
        return RuntimeError("a work has raised StopIteration")
    return error if isinstance(error, Exception) else StorageUnavailable("The store is stopping.")
