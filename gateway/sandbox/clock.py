"""The sandbox's own clock: the one place where it asks the machine for the time."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_RFC_3339: Final = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


class Clock(Protocol):
    """What the sandbox needs of time. Tests give one whose hands they move."""

    def now(self) -> datetime:
        """This moment, aware and in UTC."""
        ...

    async def sleep(self, duration: timedelta, /) -> None:
        """Return after `duration`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """This moment, aware and in UTC."""
        return datetime.now(UTC)  # noqa: TID251

    async def sleep(self, duration: timedelta, /) -> None:
        """Return after `duration`."""
        await asyncio.sleep(max(0.0, duration.total_seconds()))


def timestamp(moment: datetime) -> str:
    """A Graph `DateTimeOffset` to the second, as mail has it: 2026-11-24T02:03:04Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise_timestamp(moment: datetime) -> str:
    """A Graph `DateTimeOffset` with seven decimals, as subscriptions have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def parse_timestamp(text: str) -> datetime:
    """Read any RFC 3339 time. Raises ValueError for anything else, also for a time without a zone."""
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time with a zone")
    moment, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    return datetime.fromisoformat(f"{moment}.{(fraction or '').ljust(6, '0')[:6]}{offset}").astimezone(UTC)
