"""What the sandbox will do by itself, all in one TaskGroup: copies that reach Sent Items, answers, notifications."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.sandbox.clock import Clock

Act = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One thing to do, not before `due`."""

    due: datetime
    act: Act
    is_retry: bool


class Agenda:
    """Acts with a due time. What is entered while nobody runs it waits for `running()`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Entry, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._done = asyncio.Condition()
        self._failure: Exception | None = None

    def after(self, delay: timedelta, act: Act, *, is_retry: bool = False) -> None:
        """Do this after `delay`. A retry is an act that `settle` does not wait for unless its time has come."""
        entry = Entry(due=self._clock.now() + delay, act=act, is_retry=is_retry)
        self._entries[entry] = None
        if self._group is not None:
            self._start(self._group, entry)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry the agenda out while the block lasts; what is not done by its end stays entered."""
        if self._group is not None:
            raise RuntimeError("this sandbox is running already")
        async with asyncio.TaskGroup() as group:
            self._group = group
            for entry in self._entries:
                self._start(group, entry)
            try:
                yield
            finally:
                self._group = None
                for task in self._tasks:
                    task.cancel()

    async def settle(self) -> None:
        """Wait until nothing is under way and nothing is to come but retries whose time has not come.

        What went wrong in an act is raised here too, and ends `running()`.
        """
        async with self._done:
            await self._done.wait_for(self._is_settled)
        if self._failure is not None:
            raise self._failure

    def _is_settled(self) -> bool:
        if self._failure is not None:
            return True
        now = self._clock.now()
        return not any(entry.due <= now or not entry.is_retry for entry in self._entries)

    def _start(self, group: asyncio.TaskGroup, entry: Entry) -> None:
        task = group.create_task(self._keep(entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, entry: Entry) -> None:
        while (wait := entry.due - self._clock.now()) > timedelta(0):
            await self._clock.sleep(wait)
        try:
            await entry.act()
        except Exception as failure:
            self._failure = failure
            raise
        finally:
            await self._finish(entry)

    async def _finish(self, entry: Entry) -> None:
        del self._entries[entry]
        async with self._done:
            self._done.notify_all()
