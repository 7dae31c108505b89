"""The clock: the one place that asks the machine what time it is."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is, aware and in UTC; and waiting."""

    def now(self) -> datetime:
        """The time now, aware and in UTC."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Come back after `duration`; at once when it is negative."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time now, aware and in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock's home

    async def sleep(self, duration: timedelta) -> None:
        """Come back after `duration`."""
        await asyncio.sleep(max(0.0, duration.total_seconds()))
