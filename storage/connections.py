"""Connections to the file: each with its own thread, but for those that the event loop's thread asks itself.

All have the same settings, and only the file's owner may read it.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import aiosqlite

from storage.transaction import Transaction

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0
# Deleted rows are overwritten with zeros, however SQLite was built: what was erased must not be found in the file.
EACH_CONNECTION = ("PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA secure_delete = ON")
# In KiB. A mail that is stored changes a page or two of each of a dozen indexes, and sixty are stored together: in the
# 2,000 KiB that SQLite takes by itself, these pages drive each other out before they are committed.
WRITER_CACHE = "PRAGMA cache_size = -8000"
READ_ONLY = "PRAGMA query_only = ON"


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that can run a whole function on its thread, in one hop."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Call `work` with the open connection, on the connection's thread."""
        return cast("T", await self._execute(work, self._conn))  # type: ignore[no-untyped-call]

    async def thread_has_ended(self) -> None:
        """Wait for that after a failed start: aiosqlite does not, and the thread's last word wants a living loop."""
        await asyncio.to_thread(self._thread.join)


@asynccontextmanager
async def connection(path: Path, *pragmas: str) -> AsyncIterator[Connection]:
    """A connection with a thread of its own, until the block ends."""
    opened = Connection(lambda: connect(path, *pragmas), iter_chunk_size=64)
    try:
        await opened
    except BaseException:
        await opened.thread_has_ended()
        raise
    try:
        yield opened
    finally:
        await opened.close()


def connect(path: Path, *pragmas: str, timeout_s: float = BUSY_TIMEOUT_S) -> Transaction:
    """Open the file on this thread. Who finds it locked waits for `timeout_s`."""
    opened = sqlite3.connect(path, factory=Transaction, isolation_level=None, timeout=timeout_s)
    try:
        path.chmod(0o600)
        for pragma in (*EACH_CONNECTION, *pragmas):
            opened.execute(pragma)
    except BaseException:
        opened.close()
        raise
    return opened
