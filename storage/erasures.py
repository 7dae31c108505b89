"""Receipts of erasures: what was asked for and by whom, how much went and when, and what a search of the file found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none


class What(StrEnum):
    """What an erasure is of."""

    OBJECTS = "objects"
    ADDRESS = "address"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """`objects` are SELMA's ids; an address is not kept. `removed` has ids by kind, and the rows of each table.

    `purged_at`: since when the index and the log have nothing of it. `proof` is None until the file was searched.
    """

    id: str
    account_id: str
    what: What
    objects: list[dict[str, str]]
    reason: str
    done_by: str | None
    removed: dict[str, Any]
    proof: dict[str, Any] | None
    created_at: datetime
    purged_at: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `erasures`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            what=What(row["what"]),
            objects=orjson.loads(row["objects"]),
            reason=row["reason"],
            done_by=row["done_by"],
            removed=orjson.loads(row["removed"]),
            proof=None if row["proof"] is None else orjson.loads(row["proof"]),
            created_at=moment(row["created_at"]),
            purged_at=moment_or_none(row["purged_at"]),
        )


INSERT = """
INSERT INTO erasures (id, account_id, what, objects, reason, done_by, removed, created_at)
VALUES (:id, :account_id, :what, :objects, :reason, :done_by, :removed, :now)
"""
GET = "SELECT * FROM erasures WHERE account_id = :account_id AND id = :id"
NEWEST = """
SELECT * FROM erasures WHERE account_id = :account_id AND id < :before_id ORDER BY id DESC LIMIT :limit
"""
PURGED = """
UPDATE erasures SET purged_at = :now
 WHERE purged_at IS NULL AND created_at <= (SELECT created_at FROM erasures WHERE id = :id)
"""
PROVED = "UPDATE erasures SET proof = :proof WHERE id = :id"
# None is ever deleted, so their numbers only grow, whatever the clock says.
NUMBER_OF_LAST = "SELECT coalesce(max(rowid), 0) AS number FROM erasures"
NOT_PURGED = "SELECT id FROM erasures WHERE purged_at IS NULL ORDER BY created_at DESC LIMIT 1"


def insert(
    tx: Transaction,
    account_id: str,
    *,
    what: What,
    objects: Sequence[Mapping[str, str]],
    reason: str,
    done_by: str | None,
    removed: Mapping[str, Any],
    now: datetime,
) -> str:
    """Write down what was removed, in the transaction that did it; the receipt's id."""
    id = new_id("era", now)
    tx.execute(
        INSERT,
        {
            "id": id,
            "account_id": account_id,
            "what": what,
            "objects": orjson.dumps(list(objects)).decode(),
            "reason": reason,
            "done_by": done_by,
            "removed": orjson.dumps(removed).decode(),
            "now": now,
        },
    )
    return id


def get(tx: Transaction, account_id: str, id: str) -> Erasure:
    """Raises `NotFound`, also for another account's."""
    row = tx.execute(GET, {"account_id": account_id, "id": id}).fetchone()
    if row is None:
        raise NotFound("There is no such erasure.")
    return Erasure.from_row(row)


def newest(tx: Transaction, account_id: str, *, before_id: str | None = None, limit: int) -> list[Erasure]:
    """Newest first."""
    question = {"account_id": account_id, "before_id": before_id or "~", "limit": limit}
    return [Erasure.from_row(row) for row in tx.execute(NEWEST, question)]


def number_of_last(tx: Transaction) -> int:
    """Of all accounts, by whichever process: a greater number than before says that something was erased since."""
    return int(tx.execute(NUMBER_OF_LAST).fetchone()["number"])


def not_purged(tx: Transaction) -> str | None:
    """The newest receipt whose words may still be in the index or the log; None when there is none."""
    row = tx.execute(NOT_PURGED).fetchone()
    return None if row is None else str(row["id"])


def purged(tx: Transaction, id: str, *, now: datetime) -> None:
    """The index and the log have nothing of this one, nor of those before it."""
    tx.execute(PURGED, {"id": id, "now": now})


def proved(tx: Transaction, id: str, proof: Mapping[str, Any]) -> None:
    """What the search of the file found."""
    tx.execute(PROVED, {"id": id, "proof": orjson.dumps(proof).decode()})
