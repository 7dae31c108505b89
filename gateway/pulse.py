"""Whether the process gets round to its work: how late its event loop is, and when its workers last came by."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

BEATS: Final = 120  # that are remembered: a minute of `LoopMeter.watching`
LATE_S: Final = 1.0  # Graph waits for three seconds in all
SILENT_S: Final = 60.0  # the workers come by every five


class Pulse:
    """`monotonic` tells seconds that no setting of the clock moves; by default the loop's own."""

    def __init__(self, *, monotonic: Callable[[], float] | None = None) -> None:
        self._monotonic = monotonic
        self._late_s: deque[float] = deque(maxlen=BEATS)
        self._worked_at: float | None = None

    def worked(self) -> None:
        """The workers came by."""
        self._worked_at = self._now()

    def came(self, late_s: float) -> None:
        """What the event loop had planned came so late."""
        self._late_s.append(max(late_s, 0.0))
        if late_s > LATE_S:
            log.warning("the event loop was held up", extra={"late_s": round(late_s, 3)})

    @property
    def latest_s(self) -> float:
        """The latest beat of the last minute."""
        return max(self._late_s, default=0.0)

    @property
    def silent_s(self) -> float | None:
        """Since the workers came by; None before they did."""
        return None if self._worked_at is None else self._now() - self._worked_at

    @property
    def is_well(self) -> bool:
        """Whether the workers are about, once they have begun. A loop that is late is told of, but answers."""
        return self.silent_s is None or self.silent_s <= SILENT_S

    @property
    def sentence(self) -> str:
        """For people."""
        silent_s, lag = self.silent_s, f"in the last minute its loop was {self.latest_s * 1000:,.0f} ms late at most"
        if silent_s is None:
            return "The workers have not begun yet."
        if not self.is_well:
            return f"The workers were last seen {silent_s:,.0f} s ago: they wait for the disk, or hang."
        return f"The workers are about; {lag}."

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._monotonic is None else self._monotonic()
