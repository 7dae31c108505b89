"""The time, as this package needs it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The time now, aware and in UTC."""
        ...
