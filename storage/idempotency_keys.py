"""Idempotency keys: what each was used for, kept as long as that lives."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import IntegrityError

from storage.errors import AlreadyExists
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedKey:
    """A key that was used, and for what: a letter or a batch. `fingerprint` says what was posted with it."""

    fingerprint: bytes
    message_id: str | None
    batch_id: str | None


REMEMBER = """
INSERT INTO idempotency_keys (account_id, key, fingerprint, message_id, batch_id, created_at)
VALUES (:account_id, :key, :fingerprint, :message_id, :batch_id, :now)
"""
RECALL = """
SELECT fingerprint, message_id, batch_id FROM idempotency_keys WHERE account_id = :account_id AND key = :key
"""


def remember(
    tx: Transaction,
    account_id: str,
    key: str,
    *,
    fingerprint: bytes,
    message_id: str | None = None,
    batch_id: str | None = None,
    now: datetime,
) -> None:
    """Bind a key to the letter or the batch that it brought. Raises `AlreadyExists`."""
    try:
        tx.execute(
            REMEMBER,
            {
                "account_id": account_id,
                "key": key,
                "fingerprint": fingerprint,
                "message_id": message_id,
                "batch_id": batch_id,
                "now": now,
            },
        )
    except IntegrityError as error:
        raise AlreadyExists("This Idempotency-Key was used before.") from error


def recall(tx: Transaction, account_id: str, key: str) -> RememberedKey | None:
    """What this key was used for, if ever."""
    row = tx.execute(RECALL, {"account_id": account_id, "key": key}).fetchone()
    return None if row is None else RememberedKey(**dict(row))
