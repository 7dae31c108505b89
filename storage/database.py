"""The SQLite file: one writer, several readers, and many writes in one commit.

A piece of work is a plain function whose first argument is a `Transaction`. `Store.write` puts it in line;
the writer takes everything that waits, runs it in one transaction on the connection's own thread, commits
once with `synchronous=FULL`, and only then answers the waiters. So an answer means "on disk", and a hundred
requests share the price of one fsync.

Work may be run twice (when a neighbour in the same group fails), so it has no effect but on its transaction.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import aiosqlite

from storage.entering import enter
from storage.errors import InUse, StorageUnavailable
from storage.measures import Commit, Observer, Unobserved
from storage.migrate import bring_up_to_date, is_up_to_date, outdated
from storage.origins import NOWHERE, ORIGIN

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BUSY_TIMEOUT_S = 5.0
GROUP_LIMIT = 512
QUEUE_LIMIT = 20_000
# SQLite starts its log anew only when nobody reads, which may be never: from this length on it is made to.
# Deleted rows are overwritten with zeros, however SQLite was built: what was erased must not be found in the file.
EACH_CONNECTION = ("PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA secure_delete = ON")
LONG_LOG_BYTES = 32 * 1024 * 1024
# In KiB. A mail that is stored changes a page or two of each of a dozen indexes, and sixty are stored together: in the
# 2,000 KiB that SQLite takes by itself, these pages drive each other out before they are committed.
WRITER_CACHE = "PRAGMA cache_size = -8000"
GLANCE_S = 0.002  # the event loop stands still for no longer
GLANCE_STEPS = 1_000  # of SQLite's machine, between two looks at the clock: some tens of microseconds
NO_ITEM = object()


class Transaction(sqlite3.Connection):
    """An open transaction, as the functions of this package see it. `origin` is what its work was begun by."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row_factory = sqlite3.Row
        self.announced: set[str] = set()
        self.origin = NOWHERE
        self.measured: list[tuple[str, float]] = []

    def announce(self, topic: str) -> None:
        """Tell whoever watches `topic` that something new is there, once this is committed."""
        self.announced.add(topic)

    def measure(self, what: str, value: float) -> None:
        """Tell whoever observes the store a number, once this is committed: a write may be run twice, or be undone."""
        self.measured.append((what, value))


def microseconds(moment: datetime) -> int:
    """How a time is stored. Naive times are refused: they mean something else on every machine."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(stored: int) -> datetime:
    """The time that `microseconds` stored, in UTC."""
    return EPOCH + timedelta(microseconds=stored)


def moment_or_none(stored: int | None) -> datetime | None:
    """As `moment`, for columns that may be empty."""
    return None if stored is None else moment(stored)


sqlite3.register_adapter(datetime, microseconds)


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that can run a whole function on its thread, in one hop."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Call `work` with the open connection, on the connection's thread."""
        return cast("T", await self._execute(work, self._conn))  # type: ignore[no-untyped-call]

    async def thread_has_ended(self) -> None:
        """Wait for that after a failed start: aiosqlite does not, and the thread's last word wants a living loop."""
        await asyncio.to_thread(self._thread.join)


@dataclass(slots=True, eq=False)
class _Waiting:
    """`work` takes the transaction; or, with an `item`, the transaction and all items of the group that wait for it."""

    work: Callable[..., Any]
    done: asyncio.Future[Any]
    item: Any = NO_ITEM

    @property
    def is_alone(self) -> bool:
        return self.item is NO_ITEM

    def alone(self, tx: Transaction) -> Any:
        """As if there were no others."""
        return self.work(tx) if self.is_alone else self.work(tx, [self.item])


class Store:
    """The open file. Made by `open_store`."""

    def __init__(
        self, writer: Connection, readers: Sequence[Connection], glances: "_Glances", log: Path, long_log_bytes: int
    ) -> None:
        self._writer = writer
        self._glances = glances
        self._log = log
        self._long_log_bytes = long_log_bytes
        self._cut_from = long_log_bytes
        self._readers = list(readers)
        self._all_readers = len(readers)
        # In turn: from a queue, who comes back at once would take a reader before one that waited and was woken.
        self._turns = asyncio.Semaphore(len(readers))
        self._waiting: deque[_Waiting] = deque()  # the loop appends, the writer's thread takes
        self._work_came = asyncio.Event()
        self._gives_way = False  # the writer's thread is wanted for something else than the next group
        self._closing = False
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self.observer: Observer = Unobserved()

    async def write(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in the next group and return its value once that is on disk.

        Raises what `work` raises (then nothing of it is kept), or `StorageUnavailable`.
        """
        origin = ORIGIN.get()

        def for_whom_it_is(tx: Transaction) -> T:
            tx.origin = origin
            return work(tx, *args, **kwargs)

        return cast("T", await self._queued(for_whom_it_is, NO_ITEM))

    async def write_together(self, work: Callable[[Transaction, Sequence[Item]], None], item: Item) -> None:
        """Run `work` once for all items that wait for it when the next group begins, and return once that is on disk.

        For what comes in by the thousand, of one kind: a statement for many rows instead of many statements. Raises as
        `write`: when work with all items fails, each is tried by itself.
        """
        await self.begin_together(work, item)

    def begin_together(self, work: Callable[[Transaction, Sequence[Item]], None], item: Item) -> asyncio.Future[None]:
        """As `write_together`, for those who have no task to wait in: done once that is on disk."""
        return self._queued(work, item)

    def _queued(self, work: Callable[..., Any], item: object) -> asyncio.Future[Any]:
        if self._closing or len(self._waiting) >= QUEUE_LIMIT:
            raise StorageUnavailable("The store takes no more writes now. Try again in a moment.")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(work=work, done=done, item=item))
        self._work_came.set()
        return done

    async def read(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on one snapshot of the file and return its value. It cannot write."""
        async with self._turns:
            reader = self._readers.pop()
            try:
                return await reader.run(lambda tx: _on_a_snapshot(tx, lambda: work(tx, *args, **kwargs)))
            finally:
                self._readers.append(reader)

    async def glance(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for what an index answers with a few rows: then the way to another thread and back costs more than
        the question, so it is asked on the event loop's own thread. Two SELECTs may see different commits.

        Should it take longer after all (a slow disk, a row too many), it is broken off and asked as a `read`.
        """
        try:
            return self._glances.take(work, *args, **kwargs)
        except sqlite3.DatabaseError as error:
            if not _was_broken_off(error):
                raise
        return await self.read(work, *args, **kwargs)

    @contextmanager
    def watching(self, *topics: str) -> Iterator[asyncio.Event]:
        """An event that is set after each commit that announced one of `topics`."""
        event = asyncio.Event()
        for topic in topics:
            self._watchers.setdefault(topic, set()).add(event)
        try:
            yield event
        finally:
            for topic in topics:
                self._watchers[topic].discard(event)

    async def _write_groups(self) -> None:
        while not (self._closing and not self._waiting):
            await self._work_came.wait()
            self._work_came.clear()
            while self._waiting:
                await self._writer.run(partial(self._write_what_waits, asyncio.get_running_loop()))
                if self._log_is_long():
                    await self._cut_the_log()

    def _write_what_waits(self, loop: asyncio.AbstractEventLoop, tx: Transaction) -> None:
        """Group after group, on the writer's thread, until nothing waits or the log is to be cut. Each takes all that
        has come until it begins, and its waiters are answered while the next is written: a loop that is busy makes
        groups larger, and keeps no group waiting.
        """
        while self._waiting and not (self._gives_way or self._log_is_long()):
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_LIMIT))]
            began = time.perf_counter()
            try:
                done = _in_one_commit(tx, group)
            except BaseException as error:
                loop.call_soon_threadsafe(self._group_failed, group, error)
                if not isinstance(error, Exception):
                    raise
            else:
                loop.call_soon_threadsafe(self._group_is_on_disk, group, done, time.perf_counter() - began)

    @property
    def queued(self) -> int:
        """How many writes wait for the next group, of `QUEUE_LIMIT`."""
        return len(self._waiting)

    @property
    def files(self) -> Sequence[Path]:
        """All that SQLite may have written into: the file, its log, and the log's index."""
        file = self._log.with_name(self._log.name.removesuffix("-wal"))
        return (file, self._log, file.with_name(file.name + "-shm"))

    async def empty_log(self) -> bool:
        """Write the log into the file and empty it, so that nothing older than now is in it; False when somebody
        reads just now whom this process does not know."""
        await self.write(lambda tx: None)  # what was begun before is over
        await self._cut_the_log()
        return self._cut_from == self._long_log_bytes

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0

    async def _cut_the_log(self) -> None:
        """Write the log into the file and empty it, between two groups and two reads: milliseconds, as SQLite has
        written most of it before. Where the command line reads just now, it is for another time."""
        for _ in range(self._all_readers):
            await self._turns.acquire()
        try:
            self._gives_way = True
            busy = await self._writer.run(self._empty_the_log)
        except sqlite3.DatabaseError:
            busy = True  # what is wrong, the next write will say
        finally:
            for _ in range(self._all_readers):
                self._turns.release()
        self._cut_from = self._long_log_bytes + (self._log_bytes() if busy else 0)

    def _empty_the_log(self, tx: Transaction) -> bool:
        self._gives_way = False
        return _empty_the_log(tx)

    def _log_is_long(self) -> bool:
        return self._log_bytes() >= self._cut_from

    def _group_failed(self, group: Sequence[_Waiting], error: BaseException) -> None:
        for one in group:
            if not one.done.done():
                one.done.set_exception(_as_unavailable(error))
        self.observer.failed(len(group))

    def _group_is_on_disk(self, group: Sequence[_Waiting], done: "_Done", took_s: float) -> None:
        for one, outcome in zip(group, done.outcomes, strict=True):
            if one.done.done():  # the waiter was cancelled; the write stands all the same
                continue
            if isinstance(outcome, _Failure):
                one.done.set_exception(outcome.error)
            else:
                one.done.set_result(outcome)
        for topic in done.topics:
            for event in self._watchers.get(topic, ()):
                event.set()
        self.observer.committed(Commit(writes=len(group), took_s=took_s, disk_s=done.disk_s, measures=done.measures))

    def _close(self) -> None:
        self._closing = True
        self._work_came.set()


class _Glances:
    """A connection for the thread that opened it, on which no question takes long."""

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path, "PRAGMA query_only = ON", timeout_s=0)
        self._until = 0.0
        self._connection.set_progress_handler(self._is_too_long, GLANCE_STEPS)

    def take(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._until = time.perf_counter() + GLANCE_S
        return work(self._connection, *args, **kwargs)

    def _is_too_long(self) -> bool:
        return time.perf_counter() > self._until

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


@dataclass(frozen=True, slots=True)
class _Done:
    outcomes: list[Any]
    topics: set[str]
    measures: list[tuple[str, float]]
    disk_s: float


def _on_a_snapshot(tx: Transaction, work: Callable[[], T]) -> T:
    tx.execute("BEGIN")
    try:
        return work()
    except sqlite3.DatabaseError as error:
        if _is_outside_trouble(error):
            raise _as_unavailable(error) from error
        raise
    finally:
        _roll_back(tx)


def _in_one_commit(tx: Transaction, group: Sequence[_Waiting]) -> _Done:
    """Run all of a group's work and commit once. One that fails is undone alone; a commit that fails undoes all."""
    try:
        try:
            outcomes = _all_together(tx, group)
        except Exception:
            _roll_back(tx)
            outcomes = _each_for_itself(tx, group)
        began = time.perf_counter()
        tx.execute("COMMIT")
    except BaseException:
        _roll_back(tx)
        raise
    return _Done(outcomes, tx.announced, tx.measured, time.perf_counter() - began)


def _all_together(tx: Transaction, group: Sequence[_Waiting]) -> list[Any]:
    tx.announced, tx.measured = set(), []
    tx.execute("BEGIN IMMEDIATE")
    gathered: dict[Callable[..., Any], list[Any]] = {}
    for one in group:
        if not one.is_alone:
            gathered.setdefault(one.work, []).append(one.item)
    for work, items in gathered.items():
        work(tx, items)
    outcomes = [one.work(tx) if one.is_alone else None for one in group]
    enter(tx)
    return outcomes


def _each_for_itself(tx: Transaction, group: Sequence[_Waiting]) -> list[Any]:
    tx.announced, tx.measured = set(), []
    tx.execute("BEGIN IMMEDIATE")
    outcomes: list[Any] = []
    for one in group:
        before, measured = set(tx.announced), len(tx.measured)
        tx.execute("SAVEPOINT one")
        try:
            outcome = one.alone(tx)
            enter(tx)
            outcomes.append(outcome)
        except Exception as error:
            if not tx.in_transaction:  # SQLite itself gave up: full disk, I/O error
                raise
            tx.execute("ROLLBACK TO one")
            tx.announced = before
            del tx.measured[measured:]
            outcomes.append(_Failure(_as_unavailable(error)))
        tx.execute("RELEASE one")
    return outcomes


def _empty_the_log(tx: Transaction) -> bool:
    """Whether somebody else was in the way."""
    tx.execute("PRAGMA busy_timeout = 100")
    try:
        busy, _, _ = tx.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(busy)
    finally:
        tx.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")


def _roll_back(tx: Transaction) -> None:
    if tx.in_transaction:
        tx.execute("ROLLBACK")


def _as_unavailable(error: BaseException) -> Exception:
    """Trouble an operator can mend becomes `StorageUnavailable`; anything else stays what it is."""
    if isinstance(error, sqlite3.DatabaseError) and _is_outside_trouble(error):
        unavailable = StorageUnavailable(f"The database cannot be used now: {error}.")
        unavailable.__cause__ = error
        return unavailable
    if isinstance(error, StopIteration):  # no future takes one
        return RuntimeError("a work has raised StopIteration")
    return error if isinstance(error, Exception) else StorageUnavailable("The store is stopping.")


OUTSIDE_TROUBLE = frozenset(
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


def _was_broken_off(error: sqlite3.DatabaseError) -> bool:
    """For its length, or for a trouble that a reader waits out or says better."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT or _is_outside_trouble(error)


def _is_outside_trouble(error: sqlite3.DatabaseError) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in OUTSIDE_TROUBLE


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
            writer = await stack.enter_async_context(_connection(path, WRITER_CACHE))
            # Never change the tables under a running gateway: then it has the lock, and this is refused.
            with nullcontext() if alone or await writer.run(is_up_to_date) else held_alone(path):
                if (version := await writer.run(outdated)) is not None:
                    await asyncio.to_thread(before_change, path, version)
                await writer.run(_prepare)
            pool = [
                await stack.enter_async_context(_connection(path, "PRAGMA query_only = ON")) for _ in range(readers)
            ]
            glances = stack.enter_context(contextlib.closing(_Glances(path)))
        except (OSError, sqlite3.DatabaseError) as error:
            raise StorageUnavailable(f"{path} cannot be opened: {error}.") from error
        store, failure = Store(writer, pool, glances, path.with_name(path.name + "-wal"), long_log_bytes), None
        async with asyncio.TaskGroup() as group:
            group.create_task(store._write_groups(), name="store writer")
            try:
                yield store
            except BaseException as error:
                failure = error  # raised below as it is: the group would wrap it
            finally:
                store._close()
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


@asynccontextmanager
async def _connection(path: Path, *pragmas: str) -> AsyncIterator[Connection]:
    connection = Connection(lambda: _connect(path, *pragmas), iter_chunk_size=64)
    try:
        await connection
    except BaseException:
        await connection.thread_has_ended()
        raise
    try:
        yield connection
    finally:
        await connection.close()


def _connect(path: Path, *pragmas: str, timeout_s: float = BUSY_TIMEOUT_S) -> Transaction:
    opened = sqlite3.connect(path, factory=Transaction, isolation_level=None, timeout=timeout_s)
    try:
        path.chmod(0o600)
        for pragma in (*EACH_CONNECTION, *pragmas):
            opened.execute(pragma)
    except BaseException:
        opened.close()
        raise
    return opened


def _prepare(tx: Transaction) -> None:
    tx.execute("PRAGMA journal_mode = WAL")
    bring_up_to_date(tx)
    with contextlib.suppress(sqlite3.OperationalError):
        tx.execute("PRAGMA optimize")
