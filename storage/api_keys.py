"""API keys: shown once, kept as a digest, each for one account."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

import orjson

from storage.database import Transaction, moment, moment_or_none
from storage.errors import NotFound
from storage.ids import new_id

PREFIX = "selma_"
HINT_LENGTH = 10


class Scope(StrEnum):
    """What a key may do. METRICS sees numbers and the mailboxes' addresses, never mail."""

    SEND = "send"
    READ = "read"
    SETTINGS = "settings"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept: never its value."""

    id: str
    account_id: str
    name: str
    hint: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `api_keys`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            name=row["name"],
            hint=row["hint"],
            scopes=frozenset(Scope(scope) for scope in orjson.loads(row["scopes"])),
            created_at=moment(row["created_at"]),
            revoked_at=moment_or_none(row["revoked_at"]),
        )


INSERT = """
INSERT INTO api_keys (id, account_id, name, digest, hint, scopes, created_at)
VALUES (:id, :account_id, :name, :digest, :hint, :scopes, :now)
"""
BY_DIGEST = "SELECT * FROM api_keys WHERE digest = :digest AND revoked_at IS NULL"
BY_ID = "SELECT * FROM api_keys WHERE id = :id AND revoked_at IS NULL"
LIST = "SELECT * FROM api_keys WHERE account_id = :account_id ORDER BY created_at, id"
REVOKE = """
UPDATE api_keys SET revoked_at = :now WHERE id = :id AND account_id = :account_id AND revoked_at IS NULL
"""


def _digest(value: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(value.encode()).digest()


def create(
    tx: Transaction, account_id: str, *, name: str, scopes: frozenset[Scope], value: str, now: datetime
) -> ApiKey:
    """Keep `value` (from `new_value`) as a key of this account."""
    key_id = new_id("key", now)
    tx.execute(
        INSERT,
        {
            "id": key_id,
            "account_id": account_id,
            "name": name,
            "digest": _digest(value),
            "hint": value[:HINT_LENGTH],
            "scopes": orjson.dumps(sorted(scopes)).decode(),
            "now": now,
        },
    )
    return ApiKey.from_row(tx.execute("SELECT * FROM api_keys WHERE id = :id", {"id": key_id}).fetchone())


def new_value() -> str:
    """A fresh key: a prefix that secret scanners can know, and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def find(tx: Transaction, value: str) -> ApiKey | None:
    """The unrevoked key with this value."""
    row = tx.execute(BY_DIGEST, {"digest": _digest(value)}).fetchone()
    return None if row is None else ApiKey.from_row(row)


def find_by_id(tx: Transaction, key_id: str) -> ApiKey | None:
    """The unrevoked key with this id, for sessions that were opened with it."""
    row = tx.execute(BY_ID, {"id": key_id}).fetchone()
    return None if row is None else ApiKey.from_row(row)


def list_keys(tx: Transaction, account_id: str) -> list[ApiKey]:
    """Oldest first, revoked ones too."""
    return [ApiKey.from_row(row) for row in tx.execute(LIST, {"account_id": account_id})]


def revoke(tx: Transaction, account_id: str, key_id: str, *, now: datetime) -> None:
    """From this commit on the key is refused. Raises `NotFound` when it is none of this account's live keys."""
    if not tx.execute(REVOKE, {"id": key_id, "account_id": account_id, "now": now}).rowcount:
        raise NotFound(f"There is no live API key {key_id}.")
