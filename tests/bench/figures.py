"""Figures: the few of a run that it is judged by, and by which runs are compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.bench.numbers import Latency, Spread


class Better(StrEnum):
    """Which way a figure should go."""

    HIGHER = "higher"
    LOWER = "lower"


class Unit(StrEnum):
    """What a figure counts."""

    TIMES = "×"
    CALLS = "calls"
    PER_SECOND = "/s"
    MS = "ms"
    SECONDS = "s"
    MEGABYTES = "MB"
    COUNT = ""


CARRIED: Final = frozenset({Unit.TIMES, Unit.CALLS})  # from one machine to another


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the few that a run is judged by. What was measured once has a spread without width."""

    value: Spread
    unit: Unit
    better: Better

    @property
    def is_carried(self) -> bool:
        """Whether it means the same on another machine: ratios to a yardstick, and what is counted."""
        return self.unit in CARRIED


Figures = Mapping[str, Figure]


def times(value: Spread | float, better: Better = Better.HIGHER) -> Figure:
    """A ratio."""
    return _figure(value, Unit.TIMES, better)


def calls(by_route: Mapping[str, float]) -> Figure:
    """Of all routes, for one letter or reply."""
    return _figure(sum(by_route.values()), Unit.CALLS, Better.LOWER)


def per_second(value: Spread) -> Figure:
    """A throughput."""
    return _figure(value, Unit.PER_SECOND, Better.HIGHER)


def ms(value: Spread | float) -> Figure:
    """A time in milliseconds."""
    return _figure(value, Unit.MS, Better.LOWER)


def seconds(value: Spread | float) -> Figure:
    """A time in seconds."""
    return _figure(value, Unit.SECONDS, Better.LOWER)


def megabytes(value: Spread | float) -> Figure:
    """Memory, in 10^6 bytes."""
    return _figure(value, Unit.MEGABYTES, Better.LOWER)


def count(value: Spread | float) -> Figure:
    """Of something that should not be."""
    return _figure(value, Unit.COUNT, Better.LOWER)


def latencies(name: str, found: Latency) -> dict[str, Figure]:
    """Median and p99."""
    return {f"{name}: p50": ms(found.p50_ms), f"{name}: p99": ms(found.p99_ms)}


def _figure(value: Spread | float, unit: Unit, better: Better) -> Figure:
    spread = value if isinstance(value, Spread) else Spread.of([float(value)])
    return Figure(value=spread, unit=unit, better=better)
