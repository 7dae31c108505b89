"""Room on the disk: what would fill it is refused while there is still room for everything else.

A full disk stops all that must go on: replies that come in, what was sent and must be noted, settings, erasure. So new
letters, uploads and exports are refused before. Postfix takes no mail with less free than one and a half times its
largest message (queue_minfree, https://www.postfix.org/postconf.5.html#queue_minfree); so do we, of our largest.
"""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from prometheus_client import Gauge
from prometheus_client.registry import Collector

from gateway.clock import Clock
from gateway.sending.posted import LetterRefused
from gateway.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY: Final = timedelta(seconds=1)
AGAIN_FROM: Final = 1.1  # times what is wanted: so that it is not taken in, refused, taken in
CURE: Final = "Make room there, enlarge the disk, or lower GATEWAY_FREE_SPACE."

Look = Callable[[Path], int]


class DiskNearlyFull(LetterRefused):
    """There is less free than is kept for what must go on. Nothing was kept; it may be asked again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What was seen, in bytes. `free` is None where it cannot be told: then nothing is refused for it."""

    free: int | None
    wanted: int
    is_low: bool

    @property
    def sentence(self) -> str:
        """For people."""
        if self.free is None:
            return "How much is free on the database's disk cannot be told."
        told = f"{size(self.free)} are free on the database's disk"
        if not self.wanted:
            return f"{told}; GATEWAY_FREE_SPACE is 0, so letters are taken until it is full."
        if not self.is_low:
            return f"{told}; {size(self.wanted)} are wanted."
        return (
            f"{told} and {size(self.wanted)} are wanted: no letters, uploads and exports are taken until there is room."
        )


class Space:
    """Looks at most once a second, whoever asks. Without a `folder` there is always room."""

    def __init__(
        self, clock: Clock | None = None, folder: Path | None = None, *, wanted: int = 0, look: Look | None = None
    ) -> None:
        self._clock = clock
        self._folder = folder
        self._wanted = wanted
        self._look = look or free_bytes
        self._looked_at: datetime | None = None
        self._room = Room(free=None, wanted=wanted, is_low=False)

    def room(self) -> Room:
        """As it was a second ago, at most."""
        if self._clock is None or self._folder is None:
            return self._room
        now = self._clock.now()
        if self._looked_at is None or abs(now - self._looked_at) >= LOOK_EVERY:  # clocks are put back, too
            self._looked_at = now
            self._see(self._folder)
        return self._room

    def refusal(self) -> DiskNearlyFull | None:
        """Why nothing may be taken in that takes room, for whoever brought it; None when it may."""
        room = self.room()
        if not room.is_low:
            return None
        return DiskNearlyFull(
            f"The gateway's disk is nearly full: {size(room.free or 0)} are free and {size(room.wanted)} are wanted. "
            "Its operator must make room; until then nothing is taken in that needs some. Nothing of this was kept."
        )

    def check(self) -> None:
        """Raises `DiskNearlyFull`."""
        if (refusal := self.refusal()) is not None:
            raise refusal

    @property
    def collectors(self) -> Sequence[Collector]:
        """For a registry. How much is free is among what is told of the host."""
        wanted = Gauge("selma_gateway_disk_wanted_bytes", "Free bytes below which letters are refused.", registry=None)
        wanted.set_function(lambda: self._wanted)
        is_low = Gauge("selma_gateway_disk_low", "1 while letters are refused for want of room.", registry=None)
        is_low.set_function(lambda: int(self.room().is_low))
        return (wanted, is_low)

    def _see(self, folder: Path) -> None:
        was_low = self._room.is_low
        try:
            free = self._look(folder)
        except OSError:  # what is wrong with the disk, the next write will say
            self._room = Room(free=None, wanted=self._wanted, is_low=False)
        else:
            self._room = Room(free=free, wanted=self._wanted, is_low=is_low(free, self._wanted, was_low=was_low))
        if self._room.is_low != was_low:
            extra = {"free_bytes": self._room.free, "wanted_bytes": self._wanted, "cure": CURE}
            if self._room.is_low:
                log.warning("the disk is nearly full: letters are refused", extra=extra)
            else:
                log.warning("there is room on the disk again: letters are taken", extra=extra)


def size(bytes_: int) -> str:
    """For people."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if bytes_ >= factor:
            return f"{bytes_ / factor:,.1f} {unit}"
    return f"{bytes_:,} bytes"


def is_low(free: int, wanted: int, *, was_low: bool) -> bool:
    """Whether too little is free; once it was, a tenth more is wanted."""
    return free < (wanted * AGAIN_FROM if was_low else wanted)


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write on the disk of this folder. Raises OSError."""
    return shutil.disk_usage(folder).free


def space_for(settings: Settings, clock: Clock) -> Space:
    """On the database's disk."""
    return Space(clock, settings.database.parent, wanted=settings.wanted_free_space)
