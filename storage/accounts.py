"""Accounts: one SELMA instance's connection to one Microsoft 365 tenant."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage.errors import AlreadyExists, NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none


class TokenState(StrEnum):
    """What the last attempt to get a token showed."""

    UNKNOWN = "unknown"
    OK = "ok"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`tenant_id` and `client_id` are both set or both missing. `token_problem` is a JSON object for people.

    No letter of the account leaves before `outbox_paused_until`: there was no token to send it with.
    """

    id: str
    name: str
    tenant_id: str | None
    client_id: str | None
    cloud: str
    time_zone: str
    token_state: TokenState
    token_problem: dict[str, Any] | None
    token_checked_at: datetime | None
    outbox_paused_until: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `accounts`."""
        return cls(
            id=row["id"],
            name=row["name"],
            tenant_id=row["tenant_id"],
            client_id=row["client_id"],
            cloud=row["cloud"],
            time_zone=row["time_zone"],
            token_state=TokenState(row["token_state"]),
            token_problem=None if row["token_problem"] is None else orjson.loads(row["token_problem"]),
            token_checked_at=moment_or_none(row["token_checked_at"]),
            outbox_paused_until=moment_or_none(row["outbox_paused_until"]),
            created_at=moment(row["created_at"]),
            updated_at=moment(row["updated_at"]),
        )


INSERT = """
INSERT INTO accounts (id, name, cloud, time_zone, token_state, created_at, updated_at)
VALUES (:id, :name, 'global', 'UTC', 'unknown', :now, :now)
"""
GET = "SELECT * FROM accounts WHERE id = :id"
GET_BY_NAME = "SELECT * FROM accounts WHERE name = :name"
ALL = "SELECT * FROM accounts ORDER BY created_at, id"
CONFIGURE = """
UPDATE accounts
   SET tenant_id = :tenant_id, client_id = :client_id, cloud = :cloud, time_zone = :time_zone, updated_at = :now
 WHERE id = :id
"""
FORGET_TOKEN = """
UPDATE accounts SET token_state = 'unknown', token_problem = NULL, token_checked_at = NULL WHERE id = :id
"""
RECORD_TOKEN = """
UPDATE accounts SET token_state = :state, token_problem = :problem, token_checked_at = :now WHERE id = :id
"""
PAUSE_OUTBOX = """
UPDATE accounts SET outbox_paused_until = max(coalesce(outbox_paused_until, 0), :until) WHERE id = :id
"""
RESUME_OUTBOX = "UPDATE accounts SET outbox_paused_until = NULL WHERE id = :id AND outbox_paused_until IS NOT NULL"


def add(tx: Transaction, name: str, *, now: datetime) -> Account:
    """Make an account that is not connected yet. Raises `AlreadyExists` when the name is taken."""
    account_id = new_id("acc", now)
    if tx.execute(GET_BY_NAME, {"name": name}).fetchone() is not None:
        raise AlreadyExists(f"There is already an account named {name!r}.")
    tx.execute(INSERT, {"id": account_id, "name": name, "now": now})
    return get(tx, account_id)


def get(tx: Transaction, account_id: str) -> Account:
    """Raises `NotFound`."""
    row = tx.execute(GET, {"id": account_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no account {account_id}.")
    return Account.from_row(row)


def get_by_name(tx: Transaction, name: str) -> Account:
    """Raises `NotFound`."""
    row = tx.execute(GET_BY_NAME, {"name": name}).fetchone()
    if row is None:
        raise NotFound(f"There is no account named {name!r}.")
    return Account.from_row(row)


def all_of_them(tx: Transaction) -> list[Account]:
    """Oldest first."""
    return [Account.from_row(row) for row in tx.execute(ALL)]


def configure(
    tx: Transaction,
    account_id: str,
    *,
    tenant_id: str,
    client_id: str,
    cloud: str,
    time_zone: str,
    now: datetime,
) -> None:
    """Say which tenant and app this account is. For another one, what was known of the token no longer counts."""
    before = get(tx, account_id)
    if (before.tenant_id, before.client_id, before.cloud) != (tenant_id, client_id, cloud):
        forget_token(tx, account_id)
    tx.execute(
        CONFIGURE,
        {
            "id": account_id,
            "tenant_id": tenant_id,
            "client_id": client_id,
            "cloud": cloud,
            "time_zone": time_zone,
            "now": now,
        },
    )
    resume_outbox(tx, account_id)  # another credential may be the right one
    tx.announce("accounts")


def forget_token(tx: Transaction, account_id: str) -> None:
    """The connection is another one now: what the last attempt to get a token showed no longer counts."""
    tx.execute(FORGET_TOKEN, {"id": account_id})


def record_token(
    tx: Transaction,
    account_id: str,
    state: TokenState,
    *,
    problem: dict[str, Any] | None = None,
    now: datetime,
) -> bool:
    """Keep what the last attempt to get a token showed; true when that is news."""
    before = get(tx, account_id)
    text = None if problem is None else orjson.dumps(problem).decode()
    tx.execute(RECORD_TOKEN, {"id": account_id, "state": state, "problem": text, "now": now})
    return (before.token_state, before.token_problem) != (state, problem)


def pause_outbox(tx: Transaction, account_id: str, until: datetime) -> None:
    """There is no token: no letter of the account is tried before `until`."""
    tx.execute(PAUSE_OUTBOX, {"id": account_id, "until": until})


def resume_outbox(tx: Transaction, account_id: str) -> None:
    """There is a token again. Announces `outbox` if that is news."""
    if tx.execute(RESUME_OUTBOX, {"id": account_id}).rowcount:
        tx.announce("outbox")
