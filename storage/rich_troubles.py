"""What keeps a folder from rich notifications: content that was not opened, and until when it does without them."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Self

from storage.transaction import Transaction, moment_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class RichTrouble:
    """`unopened` requests in a row, since `unopened_since`. `reason` is a sentence for people."""

    folder_id: str
    unopened: int = 0
    unopened_since: datetime | None = None
    plain_until: datetime | None = None
    reason: str | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `rich_troubles`."""
        return cls(
            folder_id=row["folder_id"],
            unopened=row["unopened"],
            unopened_since=moment_or_none(row["unopened_since"]),
            plain_until=moment_or_none(row["plain_until"]),
            reason=row["reason"],
        )


GET = "SELECT * FROM rich_troubles WHERE folder_id = :folder_id"
SAVE = """
INSERT INTO rich_troubles (folder_id, account_id, unopened, unopened_since, plain_until, reason)
SELECT id, account_id, :unopened, :unopened_since, :plain_until, :reason FROM folders WHERE id = :folder_id
    ON CONFLICT (folder_id)
    DO UPDATE SET unopened = :unopened, unopened_since = :unopened_since, plain_until = :plain_until, reason = :reason
"""
FORGET = "DELETE FROM rich_troubles WHERE folder_id = :folder_id"


def of_folder(tx: Transaction, folder_id: str) -> RichTrouble:
    """Without any when there is none."""
    row = tx.execute(GET, {"folder_id": folder_id}).fetchone()
    return RichTrouble(folder_id=folder_id) if row is None else RichTrouble.from_row(row)


def save(tx: Transaction, trouble: RichTrouble) -> None:
    """Write it back. Announces `subscriptions` when rich notifications are given up: plain ones are wanted now."""
    tx.execute(
        SAVE,
        {
            "folder_id": trouble.folder_id,
            "unopened": trouble.unopened,
            "unopened_since": trouble.unopened_since,
            "plain_until": trouble.plain_until,
            "reason": trouble.reason,
        },
    )
    if trouble.plain_until is not None:
        tx.announce("subscriptions")


def forget(tx: Transaction, folder_id: str) -> None:
    """All is well."""
    tx.execute(FORGET, {"folder_id": folder_id})
