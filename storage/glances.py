"""Glances: questions so short that the event loop's own thread asks them, and that are broken off when they are not."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from storage.connections import READ_ONLY, connect
from storage.errors import is_outside_trouble
from storage.transaction import Transaction

P = ParamSpec("P")
T = TypeVar("T")

GLANCE_S = 0.002  # the event loop stands still for no longer
GLANCE_STEPS = 1_000  # of SQLite's machine, between two looks at the clock: some tens of microseconds


class Glances:
    """A connection for the thread that opened it, on which no question takes long."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path, READ_ONLY, timeout_s=0)
        self._until = 0.0
        self._connection.set_progress_handler(self._is_too_long, GLANCE_STEPS)

    def take(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The value of `work`. Raises `sqlite3.DatabaseError`, which `was_broken_off` explains."""
        self._until = time.perf_counter() + GLANCE_S
        return work(self._connection, *args, **kwargs)

    def _is_too_long(self) -> bool:
        return time.perf_counter() > self._until

    def close(self) -> None:
        """No more questions."""
        self._connection.close()


def was_broken_off(error: sqlite3.DatabaseError) -> bool:
    """For its length, or for a trouble that a reader waits out or says better."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT or is_outside_trouble(error)
