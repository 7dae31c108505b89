"""Tombstones: what was erased must not come back by the delta, by a look elsewhere, or by the completeness check.

Kept is a keyed hash (HMAC-SHA256) of a conversation, of a mail in its mailbox, and of a Message-ID: who has the file
can ask whether an id that they know was erased, and nothing else. The key is random, each account's own.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.transaction import Transaction, moment_or_none


class Kind(StrEnum):
    """What a hash is of. An ITEM and a CONVERSATION are those of one mailbox, a MESSAGE is a Message-ID anywhere."""

    CONVERSATION = "conversation"
    ITEM = "item"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a tombstone stands on. `mailbox_id` is empty for a MESSAGE."""

    kind: Kind
    mailbox_id: str
    value: str


KEY = "SELECT key FROM tombstone_keys WHERE account_id = :account_id"
MAKE_KEY = "INSERT INTO tombstone_keys (account_id, key) VALUES (:account_id, :key) ON CONFLICT DO NOTHING"
PUT = """
INSERT INTO tombstones (account_id, hash, erased_at) VALUES (:account_id, :hash, :now)
    ON CONFLICT (account_id, hash) DO UPDATE SET erased_at = max(erased_at, excluded.erased_at)
"""
GET = "SELECT max(erased_at) AS erased_at FROM tombstones WHERE account_id = :account_id AND hash = :hash"


def put(tx: Transaction, account_id: str, marks: Iterable[Mark], *, now: datetime) -> int:
    """Never again what is from before now; how many were put."""
    tx.execute(MAKE_KEY, {"account_id": account_id, "key": secrets.token_bytes(32)})
    key, count = _key(tx, account_id) or b"", 0
    for mark in marks:
        tx.execute(PUT, {"account_id": account_id, "hash": _hash(key, mark), "now": now})
        count += 1
    return count


def are_there(tx: Transaction, account_id: str) -> bool:
    """Whether anything of the account was ever erased."""
    return _key(tx, account_id) is not None


def erased_at(tx: Transaction, account_id: str, marks: Iterable[Mark]) -> datetime | None:
    """When one of these was erased last; None when none ever was."""
    key = _key(tx, account_id)
    if key is None:  # nothing was ever erased
        return None
    hashes = [{"account_id": account_id, "hash": _hash(key, mark)} for mark in marks]
    found = [tx.execute(GET, question).fetchone()["erased_at"] for question in hashes]
    return moment_or_none(max((at for at in found if at is not None), default=None))


def _key(tx: Transaction, account_id: str) -> bytes | None:
    row = tx.execute(KEY, {"account_id": account_id}).fetchone()
    return None if row is None else bytes(row["key"])


def _hash(key: bytes, mark: Mark) -> bytes:
    return hmac.digest(key, "\0".join((mark.kind, mark.mailbox_id, mark.value)).encode(), hashlib.sha256)
