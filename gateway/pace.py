"""How fast Graph's notifications were answered in the last ten minutes, and whether Graph will take offence.

Graph holds notifications back when more than a tenth of the answers within ten minutes took longer than three
seconds; when too many are later still, it drops them for good.
Source: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

import logging
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

log = logging.getLogger(__name__)

MINUTE: Final = timedelta(minutes=1)
MINUTES: Final = 10
SLOW_S: Final = 3.0
WARN_AT: Final = 0.05  # of the answers: half of what Graph puts up with
EDGES_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The last ten minutes. `counts`: answers no slower than each of `EDGES_S`, and at last those slower than all."""

    answers: int
    slow: int
    counts: tuple[int, ...]

    @property
    def slow_share(self) -> float:
        """0 when nothing was answered."""
        return self.slow / self.answers if self.answers else 0.0

    def within_s(self, share: float) -> float | None:
        """The first of `EDGES_S` within which this share was answered; None when that took longer than all of them."""
        wanted = share * self.answers
        return next(
            (edge for edge, so_far in zip(EDGES_S, accumulate(self.counts), strict=False) if so_far >= wanted), None
        )

    @property
    def sentence(self) -> str:
        """For people."""
        if not self.answers:
            return "No notification of Microsoft Graph came in the last 10 minutes."
        told = (
            f"{self.answers:,} answers to Microsoft Graph in the last 10 minutes: half {_within(self.within_s(0.5))}, "
            f"99 % {_within(self.within_s(0.99))}, {100 * self.slow_share:.1f} % slower than 3 s."
        )
        if self.slow_share < WARN_AT:
            return told
        return f"{told} From 10 % on Graph delays notifications: look for a slow disk or a busy machine."


@dataclass(slots=True)
class Minute:
    """What was answered within one minute."""

    slow: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * (len(EDGES_S) + 1))


class Pace:
    """Counts answers by the minute, and forgets them after ten: the memory it takes does not grow with them."""

    def __init__(self) -> None:
        self._minutes: dict[int, Minute] = {}
        self._warned_at: datetime | None = None

    def answered(self, took_s: float, now: datetime) -> int:
        """Count an answer; by which of `EDGES_S` it was there. Says in the log when too many are slow, once in ten
        minutes.
        """
        minute, edge = self._of(now), bisect_left(EDGES_S, took_s)
        minute.counts[edge] += 1
        if took_s > SLOW_S:
            minute.slow += 1
            self._warn(now)
        return edge

    def figures(self, now: datetime) -> Figures:
        """As they stand at `now`."""
        kept = self._kept(now)
        return Figures(
            answers=sum(sum(one.counts) for one in kept.values()),
            slow=sum(one.slow for one in kept.values()),
            counts=tuple(sum(column) for column in zip(*(one.counts for one in kept.values()), strict=True)),
        )

    def _of(self, now: datetime) -> Minute:
        number = minute_of(now)
        if number not in self._minutes:
            self._minutes = {**self._kept(now), number: Minute()}
        return self._minutes[number]

    def _kept(self, now: datetime) -> Mapping[int, Minute]:
        """Not those of a clock that ran ahead either."""
        last = minute_of(now)
        return {number: one for number, one in self._minutes.items() if last - MINUTES < number <= last}

    def _warn(self, now: datetime) -> None:
        figures = self.figures(now)
        is_said = self._warned_at is not None and abs(now - self._warned_at) < MINUTES * MINUTE
        if figures.slow_share < WARN_AT or is_said:
            return
        self._warned_at = now
        log.warning("notifications answered too slowly", extra={"answers": figures.answers, "slow": figures.slow})


def minute_of(moment: datetime) -> int:
    """Whole minutes since 1970, rounded down."""
    return int(moment.timestamp() // MINUTE.total_seconds())


def _within(seconds: float | None) -> str:
    return f"later than {EDGES_S[-1]:g} s" if seconds is None else f"within {seconds:g} s"
