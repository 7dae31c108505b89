"""What every function of this package works with: an open transaction, and moments as its columns hold them.

A moment is stored as whole microseconds since 1970, UTC.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from storage.errors import as_unavailable, is_outside_trouble
from storage.origins import NOWHERE

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Transaction(sqlite3.Connection):
    """An open transaction, as the functions of this package see it. `origin` is what its work was begun by."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row_factory = sqlite3.Row
        self.announced: set[str] = set()
        self.origin = NOWHERE
        self.measured: list[tuple[str, float]] = []

    def announce(self, topic: str) -> None:
        """Tell whoever watches `topic` that something new is there, once this is committed."""
        self.announced.add(topic)

    def measure(self, what: str, value: float) -> None:
        """Tell whoever observes the store a number, once this is committed: a write may be run twice, or be undone."""
        self.measured.append((what, value))


def microseconds(moment: datetime) -> int:
    """How a time is stored. Naive times are refused: they mean something else on every machine."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(stored: int) -> datetime:
    """The time that `microseconds` stored, in UTC."""
    return EPOCH + timedelta(microseconds=stored)


def moment_or_none(stored: int | None) -> datetime | None:
    """As `moment`, for columns that may be empty."""
    return None if stored is None else moment(stored)


sqlite3.register_adapter(datetime, microseconds)


def on_a_snapshot(tx: Transaction, work: Callable[[], T]) -> T:
    """Run `work`, all of whose questions see one commit. Nothing that it writes is kept."""
    tx.execute("BEGIN")
    try:
        return work()
    except sqlite3.DatabaseError as error:
        if is_outside_trouble(error):
            raise as_unavailable(error) from error
        raise
    finally:
        roll_back(tx)


def roll_back(tx: Transaction) -> None:
    """Undo all that is not committed; nothing when nothing is open."""
    if tx.in_transaction:
        tx.execute("ROLLBACK")
