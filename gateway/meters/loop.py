"""How late the event loop is: what is to happen now happens when all that came before has had its turn."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from prometheus_client import Histogram
from prometheus_client.registry import Collector

LOOK_EVERY_S: Final = 0.5  # of the loop's own time, which nobody sets
LAGS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Loop(Protocol):
    """What of an event loop is needed."""

    def time(self) -> float:
        """Seconds, from wherever."""
        ...

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Call once it is that time."""
        ...


class LoopMeter:
    """Asks the loop to call at a time, and measures by how much it is late."""

    def __init__(self) -> None:
        self._lag = Histogram(
            "selma_gateway_event_loop_lag_seconds",
            "By how much the process was late for what it had planned, looked at twice a second. Over 0.5 s it has too "
            "little processor time, or swaps: then Microsoft Graph is answered late too.",
            buckets=LAGS_S,
            registry=None,
        )

    @property
    def collectors(self) -> Sequence[Collector]:
        """For a registry."""
        return (self._lag,)

    @contextmanager
    def watching(self, loop: Loop | None = None, *, tell: Callable[[float], None] = lambda _: None) -> Iterator[None]:
        """Measure until the block ends, by default the loop that runs; `tell` hears each lag, in seconds."""
        self._tell = tell
        self._plan(loop or asyncio.get_running_loop())
        try:
            yield
        finally:
            self._next.cancel()

    def _plan(self, loop: Loop) -> None:
        at = loop.time() + LOOK_EVERY_S
        self._next = loop.call_at(at, self._look, loop, at)

    def _look(self, loop: Loop, planned: float) -> None:
        late_s = max(loop.time() - planned, 0.0)
        self._lag.observe(late_s)
        self._tell(late_s)
        self._plan(loop)
