"""How much was spent in the last while, and when more may be."""

import math
from collections.abc import Iterator
from datetime import timedelta


class Window:
    """A limit over a sliding time, counted in buckets of whole seconds since 1970.

    A bucket counts until it has wholly left the window, so never too little is counted, and at most a bucket's
    length too long. Holds two windows' worth of buckets at most: those from further ahead than a window are of a
    clock that was set back, and say nothing any more.
    """

    def __init__(self, limit: int, length: timedelta, bucket: timedelta) -> None:
        self._limit = limit
        self._bucket_s = int(bucket.total_seconds())
        self._lasts = math.ceil(length / bucket) + 1  # how many buckets later one has left the window
        self._buckets: dict[int, int] = {}
        self._used = 0
        self._swept: int | None = None

    def spend(self, second: int, amount: int) -> None:
        """Count `amount` at `second`."""
        self._sweep(second)
        if amount:
            self._add(second, amount)

    def take_back(self, second: int, amount: int) -> None:
        """Count what was spent at `second`, which may be long ago."""
        self._add(second, amount)
        self._swept = None

    def left(self, second: int) -> int:
        now = second // self._bucket_s
        used = sum(amount for bucket, amount in self._buckets.items() if self._counts(bucket, now))
        return max(0, self._limit - used)

    def free_at(self, second: int, amount: int) -> int:
        """The second from which on `amount` more fits: `second` itself when it fits now.

        Raises ValueError for more than ever fits.
        """
        self._sweep(second)
        excess = self._used + amount - self._limit
        if excess <= 0:
            return second
        for bucket in sorted(self._buckets):
            excess -= self._buckets[bucket]
            if excess <= 0:
                return (bucket + self._lasts) * self._bucket_s
        raise ValueError(f"{amount} at once is more than the limit of {self._limit}")

    def spent(self, second: int) -> Iterator[tuple[int, int]]:
        """What counts at `second`: when each bucket begins and how much was spent in it."""
        self._sweep(second)
        return ((bucket * self._bucket_s, amount) for bucket, amount in self._buckets.items())

    def _add(self, second: int, amount: int) -> None:
        bucket = second // self._bucket_s
        self._buckets[bucket] = self._buckets.get(bucket, 0) + amount
        self._used += amount

    def _sweep(self, second: int) -> None:
        now = second // self._bucket_s
        if now == self._swept:
            return
        self._buckets = {bucket: spent for bucket, spent in self._buckets.items() if self._counts(bucket, now)}
        self._used = sum(self._buckets.values())
        self._swept = now

    def _counts(self, bucket: int, now: int) -> bool:
        return now - self._lasts < bucket < now + self._lasts
