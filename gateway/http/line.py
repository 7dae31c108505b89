"""Who stands in line at Graph's door, and whether it is of any use to join them.

What comes faster than it can be kept is refused, and early: a line of a thousand that waits for two seconds keeps no
more in a second than one of a hundred, and everybody in it is answered too late. How long the first has waited says
how long the line is, however much each of them brings and however slow the disk is.
"""

from typing import Final

AT_ONCE: Final = 1_000  # requests, those whose body is still to come too
SIZE: Final = 8 * 1024 * 1024  # bytes of bodies that wait: 15,000 notifications, which take a second to be kept
FEW: Final = 100  # so many may wait however long it takes: a disk that pauses is no crowd
LONG_S: Final = 0.5  # whoever joins behind one that has waited so long is answered within two seconds, with luck


class Line:
    """Requests that are being taken in, at most so many. Times are in seconds, by a clock that never goes back."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._coming = 0
        self._size = 0
        self._waiting: dict[object, tuple[float, int]] = {}  # since when, and with how much; the longest first

    def is_too_long(self, now: float) -> bool:
        """Whether one more would be answered too late."""
        waiting = self._waiting
        if self._size >= SIZE or len(waiting) + self._coming >= self._at_once:
            return True
        return len(waiting) >= FEW and now - next(iter(waiting.values()))[0] >= LONG_S

    def comes(self) -> None:
        """One has begun, and its body is still to come: that takes as long as its sender likes."""
        self._coming += 1

    def came(self) -> None:
        """Its body is there, or never will be."""
        self._coming -= 1

    def joins(self, one: object, now: float, size: int) -> None:
        """It is ours now to keep what it brings: so many bytes."""
        self._waiting[one] = (now, size)
        self._size += size

    def leaves(self, one: object) -> None:
        """It is answered."""
        _, size = self._waiting.pop(one)
        self._size -= size
