"""API keys: shown once, kept as a digest, each for one account."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from sqlite3 import Row
from typing import Self

import orjson

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none

PREFIX = "selma_"
HINT_LENGTH = 10

Network = IPv4Network | IPv6Network


class Scope(StrEnum):
    """What a key may do. METRICS sees numbers and the mailboxes' addresses, never mail."""

    SEND = "send"
    READ = "read"
    SETTINGS = "settings"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept: never its value.

    `mailbox_ids` are those whose mail it is held to, `networks` those it may be used from; None: no such limit.
    `last_used_at` is known to the minute.
    """

    id: str
    account_id: str
    name: str
    hint: str
    scopes: frozenset[Scope]
    mailbox_ids: frozenset[str] | None
    networks: tuple[Network, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `api_keys`."""
        mailboxes, networks = row["mailboxes"], row["networks"]
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            name=row["name"],
            hint=row["hint"],
            scopes=frozenset(Scope(scope) for scope in orjson.loads(row["scopes"])),
            mailbox_ids=None if mailboxes is None else frozenset(orjson.loads(mailboxes)),
            networks=None if networks is None else tuple(ip_network(one) for one in orjson.loads(networks)),
            created_at=moment(row["created_at"]),
            expires_at=moment_or_none(row["expires_at"]),
            revoked_at=moment_or_none(row["revoked_at"]),
            last_used_at=moment_or_none(row["last_used_at"]),
        )

    def is_over(self, now: datetime) -> bool:
        """Whether its time has passed."""
        return self.expires_at is not None and self.expires_at <= now


INSERT = """
INSERT INTO api_keys (id, account_id, name, digest, hint, scopes, mailboxes, networks, created_at, expires_at)
VALUES (:id, :account_id, :name, :digest, :hint, :scopes, :mailboxes, :networks, :now, :expires_at)
"""
BY_DIGEST = "SELECT * FROM api_keys WHERE digest = :digest AND revoked_at IS NULL"
BY_ID = "SELECT * FROM api_keys WHERE id = :id AND revoked_at IS NULL"
LIST = "SELECT * FROM api_keys WHERE account_id = :account_id ORDER BY created_at, id"
REVOKE = """
UPDATE api_keys SET revoked_at = :now WHERE id = :id AND account_id = :account_id AND revoked_at IS NULL
"""
USED = "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, :at), :at) WHERE id = :id"


def _digest(value: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(value.encode()).digest()


def create(
    tx: Transaction,
    account_id: str,
    *,
    name: str,
    scopes: frozenset[Scope],
    value: str,
    mailbox_ids: Collection[str] | None = None,
    networks: Collection[Network] | None = None,
    expires_at: datetime | None = None,
    now: datetime,
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
            "mailboxes": None if mailbox_ids is None else orjson.dumps(sorted(set(mailbox_ids))).decode(),
            "networks": None if networks is None else orjson.dumps([str(one) for one in networks]).decode(),
            "now": now,
            "expires_at": expires_at,
        },
    )
    return ApiKey.from_row(tx.execute("SELECT * FROM api_keys WHERE id = :id", {"id": key_id}).fetchone())


def new_value() -> str:
    """A fresh key: a prefix that secret scanners can know, and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def find(tx: Transaction, value: str) -> ApiKey | None:
    """The unrevoked key with this value. It may be over."""
    row = tx.execute(BY_DIGEST, {"digest": _digest(value)}).fetchone()
    return None if row is None else ApiKey.from_row(row)


def find_by_id(tx: Transaction, key_id: str) -> ApiKey | None:
    """The unrevoked key with this id, for sessions that were opened with it. It may be over."""
    row = tx.execute(BY_ID, {"id": key_id}).fetchone()
    return None if row is None else ApiKey.from_row(row)


def list_keys(tx: Transaction, account_id: str) -> list[ApiKey]:
    """Oldest first, revoked ones too."""
    return [ApiKey.from_row(row) for row in tx.execute(LIST, {"account_id": account_id})]


def revoke(tx: Transaction, account_id: str, key_id: str, *, now: datetime) -> None:
    """From this commit on the key is refused. Raises `NotFound` when it is none of this account's live keys."""
    if not tx.execute(REVOKE, {"id": key_id, "account_id": account_id, "now": now}).rowcount:
        raise NotFound(f"There is no live API key {key_id}.")


def record_use(tx: Transaction, used: Mapping[str, datetime]) -> None:
    """When each of these keys was used last."""
    for key_id, at in used.items():
        tx.execute(USED, {"id": key_id, "at": at})
