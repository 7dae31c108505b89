"""The schedule: wakes loops, and nothing else. What is due is always a question to the tables.

APScheduler 3.x cancels coroutine jobs when it is shut down, so no work runs in a job: a job only rings a bell.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler


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
        try:
            yield
        finally:
            self._scheduler.shutdown(wait=False)
