"""What the store tells of its commits to whoever measures. It says numbers and keeps none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A group of writes that is on disk: how many writes shared it, and how long it took from its begin to its end.

    `disk_s` is what the commit itself took, which is how fast the disk is. `measures` are what the writes wanted to be
    measured, by `Transaction.measure`.
    """

    writes: int
    took_s: float
    disk_s: float
    measures: Sequence[tuple[str, float]]


class Observer(Protocol):
    """Hears of every group of writes, on the loop: it must be quick, and never raise."""

    def committed(self, commit: Commit) -> None:
        """A group is on disk."""
        ...

    def failed(self, writes: int) -> None:
        """Nothing of a group of so many writes was kept: the disk is full, or broken."""
        ...


class Unobserved:
    """The observer of those who do not measure."""

    def committed(self, commit: Commit) -> None:
        """Nothing."""

    def failed(self, writes: int) -> None:
        """Nothing."""
