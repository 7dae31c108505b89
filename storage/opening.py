"""Opening the file: one gateway at a time, its tables brought up to date, a writer's thread and several readers'."""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

from storage.connections import READ_ONLY, WRITER_CACHE, connection
from storage.errors import InUse, StorageUnavailable
from storage.glances import Glances
from storage.log import LONG_LOG_BYTES, Log
from storage.migrate import bring_up_to_date, is_up_to_date, outdated
from storage.store import Store
from storage.transaction import Transaction


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    readers: int = 2,
    alone: bool = True,
    long_log_bytes: int = LONG_LOG_BYTES,
    before_change: Callable[[Path, int], None] = lambda path, version: None,
) -> AsyncIterator[Store]:
    """Open the file and bring it up to date.

    `alone` keeps other gateways out until the block ends; the command line opens the file beside a running
    gateway without it. The folder is made if missing (0700). Before an existing file's tables are changed,
    `before_change` is called with the file and the version it has, in a thread; what it raises leaves the file as it
    is. Raises `SchemaTooNew`, `InUse`, `StorageUnavailable`.
    """
    async with AsyncExitStack() as stack:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if alone:
                stack.enter_context(held_alone(path))
            writer = await stack.enter_async_context(connection(path, WRITER_CACHE))
            # Never change the tables under a running gateway: then it has the lock, and this is refused.
            with nullcontext() if alone or await writer.run(is_up_to_date) else held_alone(path):
                if (version := await writer.run(outdated)) is not None:
                    await asyncio.to_thread(before_change, path, version)
                await writer.run(_prepare)
            pool = [await stack.enter_async_context(connection(path, READ_ONLY)) for _ in range(readers)]
            glances = stack.enter_context(contextlib.closing(Glances(path)))
        except (OSError, sqlite3.DatabaseError) as error:
            raise StorageUnavailable(f"{path} cannot be opened: {error}.") from error
        store, failure = Store(path, writer, pool, glances, Log(path, long_log_bytes)), None
        async with asyncio.TaskGroup() as group:
            group.create_task(store.write_groups(), name="store writer")
            try:
                yield store
            except BaseException as error:
                failure = error  # raised below as it is: the group would wrap it
            finally:
                store.close()
        if failure is not None:
            raise failure


@contextmanager
def held_alone(path: Path) -> Iterator[None]:
    """Hold the lock file beside the database, so that two gateways never send from one outbox. Raises `InUse`."""
    with os.fdopen(os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, mode=0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{path} is in use by another selma-gateway. Stop that one first.") from None
        yield


def _prepare(tx: Transaction) -> None:
    tx.execute("PRAGMA journal_mode = WAL")
    bring_up_to_date(tx)
    with contextlib.suppress(sqlite3.OperationalError):
        tx.execute("PRAGMA optimize")
