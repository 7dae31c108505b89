"""Medians, ranges and percentiles."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some rounds, and between what they lay."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """At least one value."""
        return cls(median=statistics.median(values), low=min(values), high=max(values))

    def scaled(self, factor: float) -> Self:
        """In another unit."""
        return replace(self, median=self.median * factor, low=self.low * factor, high=self.high * factor)

    @classmethod
    def of_known(cls, values: Sequence[float | None]) -> Self | None:
        """None when one is not known."""
        known = [one for one in values if one is not None]
        return cls.of(known) if len(known) == len(values) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long something took, in milliseconds, over `count` times."""

    count: int
    p50_ms: float
    p99_ms: float
    worst_ms: float

    @classmethod
    def of(cls, durations_s: Sequence[float]) -> Self:
        """From durations in seconds, at least one."""
        ordered = sorted(durations_s)
        return cls(
            count=len(ordered),
            p50_ms=percentile(ordered, 0.50) * 1000,
            p99_ms=percentile(ordered, 0.99) * 1000,
            worst_ms=ordered[-1] * 1000,
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def length_of_union(spans: Sequence[tuple[float, float]]) -> float:
    """How much of the line these spans cover together; empty and reversed ones cover nothing."""
    covered, reached = 0.0, -math.inf
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return covered


def within(spans: Sequence[tuple[float, float]], begin: float, end: float) -> list[tuple[float, float]]:
    """The parts of these spans that lie between `begin` and `end`."""
    cut = [(max(begin, one), min(end, other)) for one, other in spans]
    return [(one, other) for one, other in cut if one < other]


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """How many of these cover one point, at most; one that ends where another begins does not meet it."""
    steps = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    return max(itertools.accumulate((step for _, step in steps), initial=0))
