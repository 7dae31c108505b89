"""Groups of writes: all that waits is run in one transaction and committed once.

When the work of one fails, the group is undone and each is tried by itself, so that it fails alone: work may be run
twice, and has no effect but on its transaction.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from storage.entering import enter
from storage.errors import as_unavailable
from storage.origins import NOWHERE
from storage.transaction import Transaction, roll_back

NO_ITEM = object()


@dataclass(slots=True, eq=False)
class Waiting:
    """`work` takes the transaction; or, with an `item`, the transaction and all items of the group that wait for it."""

    work: Callable[..., Any]
    done: asyncio.Future[Any]
    item: Any = NO_ITEM

    @property
    def is_alone(self) -> bool:
        """Whether it takes no part in the work of others."""
        return self.item is NO_ITEM

    def alone(self, tx: Transaction) -> Any:
        """As if there were no others."""
        return self.work(tx) if self.is_alone else self.work(tx, [self.item])


@dataclass(frozen=True, slots=True)
class Failure:
    """What the work of one has raised; nothing of that work is kept."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Done:
    """What a group that is on disk has come to: `outcomes` in its order. `disk_s` is what the commit itself took."""

    outcomes: list[Any]
    topics: set[str]
    measures: list[tuple[str, float]]
    disk_s: float


def in_one_commit(tx: Transaction, group: Sequence[Waiting]) -> Done:
    """Run all of a group's work and commit once. One that fails is undone alone; a commit that fails undoes all."""
    try:
        try:
            outcomes = _all_together(tx, group)
        except Exception:
            roll_back(tx)
            outcomes = _each_for_itself(tx, group)
        began = time.perf_counter()
        tx.execute("COMMIT")
    except BaseException:
        roll_back(tx)
        raise
    return Done(outcomes, tx.announced, tx.measured, time.perf_counter() - began)


def _begin(tx: Transaction) -> None:
    """Work that came by itself says what it was begun by; what is done for many at once was begun by nobody."""
    tx.announced, tx.measured, tx.origin = set(), [], NOWHERE
    tx.execute("BEGIN IMMEDIATE")


def _all_together(tx: Transaction, group: Sequence[Waiting]) -> list[Any]:
    _begin(tx)
    gathered: dict[Callable[..., Any], list[Any]] = {}
    for one in group:
        if not one.is_alone:
            gathered.setdefault(one.work, []).append(one.item)
    for work, items in gathered.items():
        work(tx, items)
    outcomes = [one.work(tx) if one.is_alone else None for one in group]
    enter(tx)
    return outcomes


def _each_for_itself(tx: Transaction, group: Sequence[Waiting]) -> list[Any]:
    _begin(tx)
    outcomes: list[Any] = []
    for one in group:
        before, measured = set(tx.announced), len(tx.measured)
        tx.origin = NOWHERE
        tx.execute("SAVEPOINT one")
        try:
            outcome = one.alone(tx)
            enter(tx)
            outcomes.append(outcome)
        except Exception as error:
            if not tx.in_transaction:  # SQLite itself gave up: full disk, I/O error
                raise
            tx.execute("ROLLBACK TO one")
            tx.announced = before
            del tx.measured[measured:]
            outcomes.append(Failure(as_unavailable(error)))
        tx.execute("RELEASE one")
    return outcomes
