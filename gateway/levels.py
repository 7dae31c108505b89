"""Levels of the log that hold for a while: wished for in a row, which a running gateway reads every few seconds.

A row works over containers and needs no process id. At a start the setting holds again.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway import logs
from gateway.clock import Clock
from gateway.settings import LOG_LEVELS
from storage import Store, log_levels

LONGEST: Final = timedelta(days=1)
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours"}
DURATION: Final = re.compile(r"([0-9]{1,5})([smh])", re.ASCII)
LOGGER: Final = re.compile(r"[a-z_0-9]+(\.[a-z_0-9]+)*", re.ASCII)


class CannotLog(ValueError):
    """A wish that cannot be fulfilled; the text says why, and what could be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`logger` "" is everything of ours."""

    logger: str
    level: str


def duration(text: str) -> timedelta:
    """As 30s, 15m, 2h. Raises `CannotLog`."""
    match = DURATION.fullmatch(text)
    lasts = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta(0)
    if not timedelta(0) < lasts <= LONGEST:
        raise CannotLog(f"“{text}” is no time such as 30s, 15m or 2h, a day at most.")
    return lasts


def wish(level: str, logger: str, lasts: str) -> Wish:
    """Checked. Raises `CannotLog`."""
    duration(lasts)
    if level.lower() not in LOG_LEVELS:
        raise CannotLog(f"“{level}” is none of {', '.join(LOG_LEVELS)}.")
    if logger and not (LOGGER.fullmatch(logger) and logs.is_ours(logger) and len(logger) <= 200):
        raise CannotLog(
            f"“{logger}” is no logger of the gateway's: they begin with {', '.join(logs.OURS)}. What libraries log can "
            "hold addresses and secrets, and stays off."
        )
    return Wish(logger=logger, level=level.lower())


class Levels:
    """Applies what is wished to this process's loggers. `usual` is the setting."""

    def __init__(self, store: Store, clock: Clock, usual: str) -> None:
        self._store = store
        self._clock = clock
        self._usual = usual
        self._special: dict[str, str] = {}

    async def begin(self) -> None:
        """At start: the setting holds. Raises `StorageUnavailable`."""
        await self._store.write(log_levels.forget_all)

    async def keep(self) -> None:
        """Do as the rows say now; nothing where they say what they said. Raises `StorageUnavailable`."""
        found = {one.logger: one.level for one in await self._store.read(log_levels.in_force, self._clock.now())}
        if found != self._special:
            logs.set_levels(self._usual, found, before=self._special)
            self._special = found
