"""What a supervisor such as systemd hears of the process: that it is ready, that it lives, that it stops.

A datagram to the socket that the environment names (sd_notify(3), which shows how to do it without its library). The
event loop itself gives the signs of life: a loop that hangs gives none, and the process is started anew.
"""

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from gateway.clock import Clock

log = logging.getLogger(__name__)

READY: Final = "READY=1\nSTATUS=Serving."
STOPPING: Final = "STOPPING=1\nSTATUS=Handing work back."
ALIVE: Final = "WATCHDOG=1"
PATIENCE_S: Final = 0.5  # with a supervisor whose ears are full


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """Whom to tell. `address` is None when nobody listens, `every` when nobody waits for signs of life."""

    address: str | None = None
    every: timedelta | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """As systemd names it to the process that it started. A sign is given twice as often as it asks for one."""
        address = env.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):  # what is not a path is a socket of a virtual machine
            return cls()
        wanted, whose = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
        is_for_us = wanted.isdecimal() and int(wanted) > 0 and whose in ("", str(os.getpid()))
        return cls(address=address, every=timedelta(microseconds=int(wanted)) / 2 if is_for_us else None)

    def ready(self) -> None:
        """What the last run left was taken up: letters can be taken and sent."""
        self._tell(READY)

    def stopping(self) -> None:
        """The process ends by itself from here."""
        self._tell(STOPPING)

    async def live(self, clock: Clock) -> None:
        """Give signs of life until cancelled; come back at once when nobody waits for them."""
        while self.every is not None:
            self._tell(ALIVE)
            await clock.sleep(self.every)

    def _tell(self, what: str) -> None:
        """Hardly waits and never fails: a supervisor that does not listen is no reason to stop sending letters."""
        if self.address is None:
            return
        # "@" stands for the zero byte of an address that is no file (unix(7)).
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(PATIENCE_S)
                channel.sendto(what.encode(), address)
        except OSError as error:
            log.warning("supervisor not told", extra={"what": what.partition("\n")[0], "errno": error.errno})
