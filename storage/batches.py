"""Batches: many letters that were posted together. How far one is follows from its letters."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Self

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`done_by` is what was forecast at first, `told_percent` how much of it SELMA was last told is over."""

    id: str
    account_id: str
    name: str | None
    created_by: str | None
    letters: int
    done_by: datetime
    told_percent: int
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `batches`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            name=row["name"],
            created_by=row["created_by"],
            letters=row["letters"],
            done_by=moment(row["done_by"]),
            told_percent=row["told_percent"],
            created_at=moment(row["created_at"]),
        )


INSERT = """
INSERT INTO batches (id, account_id, name, created_by, letters, done_by, created_at)
VALUES (:id, :account_id, :name, :created_by, :letters, :now, :now)
"""
FORECAST = "UPDATE batches SET done_by = :done_by WHERE id = :id"
GET = "SELECT * FROM batches WHERE account_id = :account_id AND id = :id"
BY_ID = "SELECT * FROM batches WHERE id = :id"
NEWEST = """
SELECT * FROM batches WHERE account_id = :account_id AND id < :before_id ORDER BY id DESC LIMIT :limit
"""
UNDER_WAY = """
SELECT * FROM batches
 WHERE account_id = :account_id
   AND EXISTS (SELECT 1 FROM outbox WHERE outbox.batch_id = batches.id AND outbox.next_attempt_at IS NOT NULL)
 ORDER BY id DESC
"""
COUNTS = "SELECT state, count(*) AS letters FROM outbox WHERE batch_id = :id GROUP BY state"
OPEN = "SELECT count(*) AS letters FROM outbox WHERE batch_id = :id AND next_attempt_at IS NOT NULL"
LETTERS = "SELECT message_id FROM outbox WHERE batch_id = :id ORDER BY batch_position"
MAILBOXES = "SELECT DISTINCT mailbox_id FROM outbox WHERE batch_id = :id AND next_attempt_at IS NOT NULL"
TOLD = "UPDATE batches SET told_percent = :percent WHERE id = :id"


def insert(
    tx: Transaction, account_id: str, *, name: str | None, created_by: str | None, letters: int, now: datetime
) -> str:
    """A batch whose letters follow in this transaction; its id."""
    batch_id = new_id("bat", now)
    tx.execute(
        INSERT,
        {
            "id": batch_id,
            "account_id": account_id,
            "name": name,
            "created_by": created_by,
            "letters": letters,
            "now": now,
        },
    )
    return batch_id


def forecast(tx: Transaction, batch_id: str, *, done_by: datetime) -> None:
    """What SELMA is told when the batch is accepted."""
    tx.execute(FORECAST, {"id": batch_id, "done_by": done_by})


def get(tx: Transaction, account_id: str, batch_id: str) -> Batch:
    """Raises `NotFound`, also for another account's."""
    row = tx.execute(GET, {"account_id": account_id, "id": batch_id}).fetchone()
    if row is None:
        raise NotFound("There is no such batch.")
    return Batch.from_row(row)


def by_id(tx: Transaction, batch_id: str) -> Batch:
    """For work that already knows whose it is."""
    return Batch.from_row(tx.execute(BY_ID, {"id": batch_id}).fetchone())


def newest(tx: Transaction, account_id: str, *, before_id: str | None = None, limit: int) -> list[Batch]:
    """Newest first."""
    question = {"account_id": account_id, "before_id": before_id or "~", "limit": limit}
    return [Batch.from_row(row) for row in tx.execute(NEWEST, question)]


def under_way(tx: Transaction, account_id: str) -> list[Batch]:
    """Those with letters that are still to leave, newest first."""
    return [Batch.from_row(row) for row in tx.execute(UNDER_WAY, {"account_id": account_id})]


def counts(tx: Transaction, batch_id: str) -> dict[str, int]:
    """How many of its letters stand in each state."""
    return {row["state"]: row["letters"] for row in tx.execute(COUNTS, {"id": batch_id})}


def open_letters(tx: Transaction, batch_id: str) -> int:
    """How many of its letters are not over."""
    return int(tx.execute(OPEN, {"id": batch_id}).fetchone()["letters"])


def letters_of(tx: Transaction, batch_id: str) -> list[str]:
    """The message ids, in the order in which they were posted."""
    return [row["message_id"] for row in tx.execute(LETTERS, {"id": batch_id})]


def mailboxes_of(tx: Transaction, batch_id: str) -> list[str]:
    """The mailboxes that letters of it are still to leave."""
    return [row["mailbox_id"] for row in tx.execute(MAILBOXES, {"id": batch_id})]


def told(tx: Transaction, batch_id: str, percent: int) -> None:
    """SELMA has been told that so much of it is over."""
    tx.execute(TOLD, {"id": batch_id, "percent": percent})
