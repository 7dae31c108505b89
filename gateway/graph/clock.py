"""What the client needs of time."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """This moment, aware and in UTC."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Return after `duration`."""
        ...
