"""SQLite's log: what is committed stands in it until it is written into the file.

SQLite starts its log anew only when nobody reads, which may be never: from some length on it is made to.
"""

from pathlib import Path

from storage.connections import BUSY_TIMEOUT_S
from storage.transaction import Transaction

LONG_LOG_BYTES = 32 * 1024 * 1024


class Log:
    """How long the log is, and from what length on it is to be cut."""

    def __init__(self, file: Path, long_log_bytes: int) -> None:
        self.path = file.with_name(file.name + "-wal")
        self._long_log_bytes = long_log_bytes
        self._cut_from = long_log_bytes

    @property
    def was_emptied(self) -> bool:
        """Whether nobody was in the way when it was cut."""
        return self._cut_from == self._long_log_bytes

    def is_long(self) -> bool:
        """Whether it is to be cut."""
        return self._bytes() >= self._cut_from

    def has_been_cut(self, *, busy: bool) -> None:
        """Where somebody was in the way, it is cut again once it has grown by as much."""
        self._cut_from = self._long_log_bytes + (self._bytes() if busy else 0)

    def _bytes(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def empty_the_log(tx: Transaction) -> bool:
    """Write the log into the file and empty it; whether somebody else was in the way."""
    tx.execute("PRAGMA busy_timeout = 100")
    try:
        busy, _, _ = tx.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(busy)
    finally:
        tx.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
