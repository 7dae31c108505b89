"""A clock that moves only when told to."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

A_MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class FakeClock:
    """`now` stands still until `advance`; sleepers wake in order as it passes their time."""

    def __init__(self, now: datetime = A_MONDAY) -> None:
        self._now = now
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._fell_asleep = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    async def sleep(self, duration: timedelta) -> None:
        if duration <= timedelta(0):
            await asyncio.sleep(0)
            return
        awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + duration, next(self._order), awake))
        self._fell_asleep.set()
        await awake

    @property
    def sleepers(self) -> int:
        """How many are asleep now."""
        return sum(not awake.done() for _, _, awake in self._sleepers)

    async def somebody_sleeps(self) -> None:
        """Wait until somebody is asleep."""
        while self.sleepers == 0:
            self._fell_asleep.clear()
            await self._fell_asleep.wait()

    def advance(self, duration: timedelta) -> None:
        """Move time on (or back, as clocks do); whoever slept long enough wakes."""
        self._now += duration
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, awake = heapq.heappop(self._sleepers)
            if not awake.done():
                awake.set_result(None)
