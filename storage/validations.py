"""Many mailboxes validated at once: what was asked, and what came of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none


class Outcome(StrEnum):
    """What came of one. UNDECIDED: Microsoft 365 could not be asked; REMOVED: somebody took it out meanwhile."""

    VALIDATED = "validated"
    REFUSED = "refused"
    UNDECIDED = "undecided"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One address as it was entered. `checks` is what was tried, for people; `mailbox_id` the mailbox it led to."""

    validation_id: str
    position: int
    account_id: str
    address: str
    mailbox_id: str | None
    outcome: Outcome | None
    checks: Sequence[dict[str, Any]]
    done_at: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `validation_items`."""
        return cls(
            validation_id=row["validation_id"],
            position=row["position"],
            account_id=row["account_id"],
            address=row["address"],
            mailbox_id=row["mailbox_id"],
            outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
            checks=[] if row["checks"] is None else orjson.loads(row["checks"]),
            done_at=moment_or_none(row["done_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All of one request, in the order of its addresses."""

    id: str
    account_id: str
    created_at: datetime
    items: Sequence[Item]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(item.outcome is not None for item in self.items)


INSERT = "INSERT INTO validations (id, account_id, created_at) VALUES (:id, :account_id, :now)"
INSERT_ITEM = "INSERT INTO validation_items (validation_id, position, account_id, address) VALUES (?, ?, ?, ?)"
GET = "SELECT * FROM validations WHERE account_id = :account_id AND id = :id"
ITEMS = "SELECT * FROM validation_items WHERE validation_id = :id ORDER BY position"
TO_DO = """
SELECT * FROM validation_items WHERE outcome IS NULL ORDER BY validation_id, position LIMIT :limit
"""
DONE = """
UPDATE validation_items SET outcome = :outcome, checks = :checks, mailbox_id = :mailbox_id, done_at = :now
 WHERE validation_id = :validation_id AND position = :position
"""
PRUNE = "DELETE FROM validations WHERE account_id = :account_id AND created_at < :before"


def insert(tx: Transaction, account_id: str, addresses: Sequence[str], *, now: datetime) -> str:
    """Keep what was asked; its id. Announces `validations`."""
    validation_id = new_id("val", now)
    tx.execute(INSERT, {"id": validation_id, "account_id": account_id, "now": now})
    rows = [(validation_id, position, account_id, address) for position, address in enumerate(addresses)]
    tx.executemany(INSERT_ITEM, rows)
    tx.announce("validations")
    return validation_id


def get(tx: Transaction, account_id: str, validation_id: str) -> Validation:
    """Raises `NotFound`, also for another account's."""
    row = tx.execute(GET, {"account_id": account_id, "id": validation_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no validation {validation_id}.")
    items = [Item.from_row(each) for each in tx.execute(ITEMS, {"id": validation_id})]
    return Validation(id=row["id"], account_id=row["account_id"], created_at=moment(row["created_at"]), items=items)


def to_do(tx: Transaction, *, limit: int) -> list[Item]:
    """What nobody has looked at yet, oldest first."""
    return [Item.from_row(row) for row in tx.execute(TO_DO, {"limit": limit})]


def done(
    tx: Transaction,
    item: Item,
    outcome: Outcome,
    *,
    checks: Sequence[dict[str, Any]],
    mailbox_id: str | None,
    now: datetime,
) -> None:
    """What came of it."""
    tx.execute(
        DONE,
        {
            "validation_id": item.validation_id,
            "position": item.position,
            "outcome": outcome,
            "checks": orjson.dumps(list(checks)).decode(),
            "mailbox_id": mailbox_id,
            "now": now,
        },
    )


def prune(tx: Transaction, account_id: str, before: datetime) -> None:
    """Forget what was asked before that time."""
    tx.execute(PRUNE, {"account_id": account_id, "before": before})
