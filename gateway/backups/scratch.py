"""Copies that are there for a while, beside the database, where the same rules protect them.

Who makes one holds a lock on it. What a crash left is locked by nobody and goes at the gateway's next start: erasures
do not reach it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.backups.errors import UnderWay

LOCK: Final = ".backup.lock"
COPY: Final = ".backup-copy"
FOLDER: Final = ".restoring-"
FOLDER_LOCK: Final = "lock"
OWNER_ONLY: Final = 0o600


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """One backup of a database at a time. Raises `UnderWay`."""
    with _locked(database.with_name(database.name + LOCK)) as is_ours:
        if not is_ours:
            raise UnderWay("A backup of this database is being made just now. Try again when it is done.")
        yield


@contextmanager
def copy_of(database: Path) -> Iterator[Path]:
    """A place for a copy, empty and the owner's alone, gone afterwards. Only while `alone`."""
    path = database.with_name(database.name + COPY)
    _unlink(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
    try:
        yield path
    finally:
        _unlink(path)


@contextmanager
def folder_beside(database: Path) -> Iterator[Path]:
    """A folder of one's own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=FOLDER, dir=database.parent) as name, _locked(Path(name) / FOLDER_LOCK):
        yield Path(name)


def clear_away(database: Path) -> None:
    """What a crash left goes; what somebody works with is left alone."""
    with _locked(database.with_name(database.name + LOCK)) as is_ours:
        if is_ours:
            _unlink(database.with_name(database.name + COPY))
    for folder in database.parent.glob(f"{FOLDER}*"):
        with _locked(folder / FOLDER_LOCK) as is_ours:
            if is_ours:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the lock is ours until the block ends."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _unlink(copied: Path) -> None:
    for path in (copied, *(copied.with_name(copied.name + more) for more in ("-journal", "-wal", "-shm"))):
        path.unlink(missing_ok=True)
