"""A wall clock that is set by the test, for processes: libfaketime, which leaves the monotonic clock alone.

https://github.com/wolfcw/libfaketime; `faketime --exclude-monotonic` does the same, with one offset for good. Here the
offset stands in a file, which is read once a second.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

READ_EVERY_S: Final = 1  # at each look it would be most of what the processes do
SEEN_WITHIN_S: Final = 2 * READ_EVERY_S
PLACES: Final = ("/usr/lib", "/usr/local/lib")
LIBRARY: Final = "libfaketimeMT.so.1"  # the one for processes with threads


class WallClock:
    """One for all processes that are started with its `environment`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.ahead = timedelta()
        self.jump(timedelta())

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to live by it. Raises FileNotFoundError where libfaketime is not installed."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(READ_EVERY_S),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, by: timedelta) -> None:
        """Set it on, or back: seen within SEEN_WITHIN_S. Whoever looks meanwhile sees the one time or the other."""
        self.ahead += by
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.ahead.total_seconds():+.0f}\n")
        new.replace(self._file)


def library() -> Path:
    """Where libfaketime is. Raises FileNotFoundError."""
    for place in PLACES:
        for found in Path(place).rglob(LIBRARY):
            return found
    raise FileNotFoundError(f"{LIBRARY} is not installed: apt install faketime")
