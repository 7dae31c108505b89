"""The store: one writer, several readers, and many writes in one commit.

A piece of work is a plain function whose first argument is a `Transaction`. `Store.write` puts it in line;
the writer takes everything that waits, runs it in one transaction on the connection's own thread, commits
once with `synchronous=FULL`, and only then answers the waiters. So an answer means "on disk", and a hundred
requests share the price of one fsync.

Work may be run twice (when a neighbour in the same group fails), so it has no effect but on its transaction.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from storage.connections import Connection
from storage.errors import StorageUnavailable, as_unavailable
from storage.glances import Glances, was_broken_off
from storage.groups import NO_ITEM, Done, Failure, Waiting, in_one_commit
from storage.log import Log, empty_the_log
from storage.measures import Commit, Observer, Unobserved
from storage.origins import ORIGIN
from storage.transaction import Transaction, on_a_snapshot

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

GROUP_LIMIT = 512
QUEUE_LIMIT = 20_000


class Store:
    """The open file. Made by `open_store`."""

    def __init__(
        self, file: Path, writer: Connection, readers: Sequence[Connection], glances: Glances, log: Log
    ) -> None:
        self._file = file
        self._writer = writer
        self._glances = glances
        self._log = log
        self._readers = list(readers)
        self._all_readers = len(readers)
        # In turn: from a queue, who comes back at once would take a reader before one that waited and was woken.
        self._turns = asyncio.Semaphore(len(readers))
        self._one_cut = asyncio.Lock()
        self._waiting: deque[Waiting] = deque()  # the loop appends, the writer's thread takes
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
        self._waiting.append(Waiting(work=work, done=done, item=item))
        self._work_came.set()
        return done

    async def read(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on one snapshot of the file and return its value. It cannot write."""
        async with self._turns:
            reader = self._readers.pop()
            try:
                return await reader.run(lambda tx: on_a_snapshot(tx, lambda: work(tx, *args, **kwargs)))
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
            if not was_broken_off(error):
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

    async def write_groups(self) -> None:
        """Write what comes, until the store is closed and nothing waits. For `open_store`."""
        while not (self._closing and not self._waiting):
            await self._work_came.wait()
            self._work_came.clear()
            while self._waiting:
                await self._writer.run(partial(self._write_what_waits, asyncio.get_running_loop()))
                if self._log.is_long():
                    await self._cut_the_log()

    def _write_what_waits(self, loop: asyncio.AbstractEventLoop, tx: Transaction) -> None:
        """Group after group, on the writer's thread, until nothing waits or the log is to be cut. Each takes all that
        has come until it begins, and its waiters are answered while the next is written: a loop that is busy makes
        groups larger, and keeps no group waiting.
        """
        while self._waiting and not (self._gives_way or self._log.is_long()):
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_LIMIT))]
            began = time.perf_counter()
            try:
                done = in_one_commit(tx, group)
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
        return (self._file, self._log.path, self._file.with_name(self._file.name + "-shm"))

    async def empty_log(self) -> bool:
        """Write the log into the file and empty it, so that nothing older than now is in it; False when somebody
        reads just now whom this process does not know."""
        await self.write(lambda tx: None)  # what was begun before is over
        await self._cut_the_log()
        return self._log.was_emptied

    async def _cut_the_log(self) -> None:
        """Write the log into the file and empty it, between two groups and two reads: milliseconds, as SQLite has
        written most of it before. Where the command line reads just now, it is for another time."""
        async with self._all_turns():
            try:
                self._gives_way = True
                busy = await self._writer.run(self._empty_the_log)
            except sqlite3.DatabaseError:
                busy = True  # what is wrong, the next write will say
        self._log.has_been_cut(busy=busy)

    @asynccontextmanager
    async def _all_turns(self) -> AsyncIterator[None]:
        """Nobody of this process reads until the block ends. One at a time: two who had some of the turns each would
        wait for each other's, and with them every read and write."""
        async with self._one_cut, AsyncExitStack() as turns:
            for _ in range(self._all_readers):
                await turns.enter_async_context(self._turns)
            yield

    def _empty_the_log(self, tx: Transaction) -> bool:
        self._gives_way = False
        return empty_the_log(tx)

    def _group_failed(self, group: Sequence[Waiting], error: BaseException) -> None:
        for one in group:
            if not one.done.done():
                one.done.set_exception(as_unavailable(error))
        self.observer.failed(len(group))

    def _group_is_on_disk(self, group: Sequence[Waiting], done: Done, took_s: float) -> None:
        for one, outcome in zip(group, done.outcomes, strict=True):
            if one.done.done():  # the waiter was cancelled; the write stands all the same
                continue
            if isinstance(outcome, Failure):
                one.done.set_exception(outcome.error)
            else:
                one.done.set_result(outcome)
        for topic in done.topics:
            for event in self._watchers.get(topic, ()):
                event.set()
        self.observer.committed(Commit(writes=len(group), took_s=took_s, disk_s=done.disk_s, measures=done.measures))

    def close(self) -> None:
        """Take no more writes; those that wait are still written. For `open_store`."""
        self._closing = True
        self._work_came.set()
