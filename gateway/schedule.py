"""The schedule: wakes loops, and nothing else. What is due is always a question to the tables.

APScheduler 3.x cancels coroutine jobs when it is shut down, so no work runs in a job: a job only rings a bell. It goes
by the time of day: after a clock was set back by two hours every bell would be silent for as long; so that is looked
for.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway.clock import SystemClock

LOOK_EVERY: Final = timedelta(seconds=5)  # of the loop's own time, which nobody sets


class Schedule:
    """Bells that ring at intervals while `running`. A missed ring is made up for once, late rings are never lost."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )

    def every(self, interval: timedelta) -> asyncio.Event:
        """A bell that is set every `interval`, for a loop to wait on and clear."""
        bell = asyncio.Event()

        async def ring() -> None:
            bell.set()

        self._scheduler.add_job(ring, "interval", seconds=interval.total_seconds())
        return bell

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ring the bells until the block ends."""
        self._scheduler.start()
        self._watch = asyncio.get_running_loop().call_later(LOOK_EVERY.total_seconds(), self._look)
        try:
            yield
        finally:
            self._watch.cancel()
            self._scheduler.shutdown(wait=False)

    def _look(self) -> None:
        """Bring forward each bell that is further off than its interval: the clock was set back."""
        now = SystemClock().now()
        for job in self._scheduler.get_jobs():
            if job.next_run_time > now + job.trigger.interval:
                job.modify(next_run_time=now)
        self._watch = asyncio.get_running_loop().call_later(LOOK_EVERY.total_seconds(), self._look)
