"""Warnings that were put off: who did so, why, and until when."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Self

from storage.transaction import Transaction, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Snooze:
    """It counts for this credential as long as that ends when it did then, and until `until`."""

    account_id: str
    credential_id: str
    expires_at: datetime
    until: datetime
    reason: str
    snoozed_by: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `snoozes`."""
        return cls(
            account_id=row["account_id"],
            credential_id=row["credential_id"],
            expires_at=moment(row["expires_at"]),
            until=moment(row["until"]),
            reason=row["reason"],
            snoozed_by=row["snoozed_by"],
            created_at=moment(row["created_at"]),
        )


GET = "SELECT * FROM snoozes WHERE account_id = :account_id"
SAVE = """
INSERT OR REPLACE INTO snoozes (account_id, credential_id, expires_at, until, reason, snoozed_by, created_at)
VALUES (:account_id, :credential_id, :expires_at, :until, :reason, :snoozed_by, :created_at)
"""
END = "DELETE FROM snoozes WHERE account_id = :account_id"


def get(tx: Transaction, account_id: str) -> Snooze | None:
    """The last one, over or not."""
    row = tx.execute(GET, {"account_id": account_id}).fetchone()
    return None if row is None else Snooze.from_row(row)


def save(tx: Transaction, snooze: Snooze) -> None:
    """In place of the one before."""
    tx.execute(
        SAVE,
        {
            "account_id": snooze.account_id,
            "credential_id": snooze.credential_id,
            "expires_at": snooze.expires_at,
            "until": snooze.until,
            "reason": snooze.reason,
            "snoozed_by": snooze.snoozed_by,
            "created_at": snooze.created_at,
        },
    )


def end(tx: Transaction, account_id: str) -> bool:
    """Whether there was one."""
    return tx.execute(END, {"account_id": account_id}).rowcount > 0
