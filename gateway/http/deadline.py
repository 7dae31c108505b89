"""A deadline for many tasks: one timer for all of them, where `asyncio.timeout` sets and clears one for each."""

import asyncio
from types import TracebackType
from typing import Any, Final, Self

LOOKS: Final = 10  # within the limit: a task may have so much more of it


class Deadline:
    """Use it as a context around what a task may take `limit_s` seconds for, and a tenth more at most; then it raises
    TimeoutError there. Not to be entered twice by one task. For one event loop.

    A future is watched between `begins` and `ends`; one that is late is cancelled.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: dict[asyncio.Future[Any], float] = {}  # the longest first
        self._late: set[asyncio.Future[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many are watched."""
        return len(self._since) + len(self._late)

    def begins(self, one: asyncio.Future[Any]) -> None:
        """From now on it has so long."""
        loop = asyncio.get_running_loop()
        self._since[one] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._limit_s / LOOKS, self._look, loop)

    def ends(self, one: asyncio.Future[Any]) -> bool:
        """It is over; whether it was late."""
        if self._since.pop(one, None) is not None or one not in self._late:
            return False
        self._late.remove(one)
        return True

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is for tasks")
        self.begins(task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it was there when it entered
        if not self.ends(task):
            return
        if task.uncancel() == 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        overdue = loop.time() - self._limit_s
        for one, since in list(self._since.items()):
            if since > overdue:
                break
            del self._since[one]
            self._late.add(one)
            one.cancel()
        self._timer = loop.call_later(self._limit_s / LOOKS, self._look, loop) if self._since else None
