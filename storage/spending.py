"""Spending: what each mailbox has used of what Microsoft 365 allows it, in buckets of time, over restarts.

How wide a bucket is and what it is compared with is the spender's to know; here they are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from storage.transaction import EPOCH, Transaction, moment


class Spent(StrEnum):
    """What of."""

    LETTERS = "letters"
    RECIPIENTS = "recipients"
    REQUESTS = "requests"
    UPLOAD_BYTES = "upload_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """So much was spent in the time that began then."""

    begins_at: datetime
    amount: int


SPEND = """
INSERT INTO spending (mailbox_id, kind, bucket, account_id, amount)
SELECT id, :kind, :bucket, account_id, :amount FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id, kind, bucket) DO UPDATE SET amount = amount + :amount
"""
KEEP = """
INSERT INTO spending (mailbox_id, kind, bucket, account_id, amount)
SELECT id, :kind, :bucket, account_id, :amount FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id, kind, bucket) DO UPDATE SET amount = max(amount, :amount)
"""
SINCE = """
SELECT bucket, amount FROM spending
 WHERE mailbox_id = :mailbox_id AND kind = :kind AND bucket > :since ORDER BY bucket
"""
FORGET = "DELETE FROM spending WHERE bucket < :before"


def bucket_of(at: datetime, width: timedelta) -> datetime:
    """When the bucket began that this moment falls into."""
    return at - (at - EPOCH) % width


def spend(tx: Transaction, mailbox_id: str, kind: Spent, amount: int, *, width: timedelta, now: datetime) -> None:
    """Count it, in the bucket of now."""
    if amount > 0:
        tx.execute(SPEND, {"mailbox_id": mailbox_id, "kind": kind, "bucket": bucket_of(now, width), "amount": amount})


def keep(tx: Transaction, mailbox_id: str, kind: Spent, buckets: Sequence[Bucket]) -> None:
    """What somebody else counts, as it stands there; a bucket only grows."""
    tx.executemany(
        KEEP,
        [{"mailbox_id": mailbox_id, "kind": kind, "bucket": one.begins_at, "amount": one.amount} for one in buckets],
    )


def since(tx: Transaction, mailbox_id: str, kind: Spent, after: datetime) -> list[Bucket]:
    """The buckets that began after that, oldest first."""
    rows = tx.execute(SINCE, {"mailbox_id": mailbox_id, "kind": kind, "since": after})
    return [Bucket(begins_at=moment(row["bucket"]), amount=row["amount"]) for row in rows]


def forget(tx: Transaction, *, before: datetime) -> None:
    """What is older than any window no longer counts."""
    tx.execute(FORGET, {"before": before})
