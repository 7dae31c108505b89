"""Credentials of an account: sealed, with a hint of three characters and an expiry date that a person gave."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

from storage import accounts
from storage.database import Transaction, moment, moment_or_none
from storage.ids import new_id
from storage.vault import MasterKey

HINT_LENGTH = 3


class CredentialKind(StrEnum):
    """How the app proves who it is."""

    CLIENT_SECRET = "client_secret"
    CERTIFICATE = "certificate"
    FEDERATED = "federated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A stored credential. `hint` is its first three characters; the rest opens only with the master key."""

    id: str
    account_id: str
    kind: CredentialKind
    ciphertext: bytes = field(repr=False)
    hint: str
    expires_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `credentials`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            kind=CredentialKind(row["kind"]),
            ciphertext=row["ciphertext"],
            hint=row["hint"],
            expires_at=moment_or_none(row["expires_at"]),
            created_at=moment(row["created_at"]),
        )

    def open(self, key: MasterKey) -> str:
        """The secret itself. Raises `WrongMasterKey`."""
        return key.open(self.ciphertext, _context(self.account_id, self.id))


RETIRE = "UPDATE credentials SET state = 'retired' WHERE account_id = :account_id AND state = 'active'"
INSERT = """
INSERT INTO credentials (id, account_id, kind, ciphertext, hint, expires_at, state, created_at)
VALUES (:id, :account_id, :kind, :ciphertext, :hint, :expires_at, 'active', :now)
"""
ACTIVE = "SELECT * FROM credentials WHERE account_id = :account_id AND state = 'active'"
SET_EXPIRY = """
UPDATE credentials SET expires_at = :expires_at WHERE account_id = :account_id AND state = 'active'
"""
FORGET_WARNINGS = """
DELETE FROM credential_warnings
 WHERE credential_id IN (SELECT id FROM credentials WHERE account_id = :account_id AND state = 'active')
"""
WARNED = """
SELECT days_left FROM credential_warnings WHERE credential_id = :credential_id AND warned_at <= :latest
"""
WARN = """
INSERT INTO credential_warnings (credential_id, account_id, days_left, warned_at)
VALUES (:credential_id, :account_id, :days_left, :now)
    ON CONFLICT (credential_id, days_left) DO UPDATE SET warned_at = :now
"""


def _context(account_id: str, credential_id: str) -> str:
    return f"credentials/{account_id}/{credential_id}"


def replace_client_secret(
    tx: Transaction,
    account_id: str,
    secret: str,
    *,
    expires_at: datetime | None,
    key: MasterKey,
    now: datetime,
) -> None:
    """Make `secret` the account's active credential; the one before it is retired."""
    credential_id = new_id("cred", now)
    accounts.forget_token(tx, account_id)
    tx.execute(RETIRE, {"account_id": account_id})
    tx.execute(
        INSERT,
        {
            "id": credential_id,
            "account_id": account_id,
            "kind": CredentialKind.CLIENT_SECRET,
            "ciphertext": key.seal(secret, _context(account_id, credential_id)),
            "hint": secret[:HINT_LENGTH],
            "expires_at": expires_at,
            "now": now,
        },
    )
    tx.announce("accounts")


def active(tx: Transaction, account_id: str) -> Credential | None:
    """The credential in use, if there is one."""
    row = tx.execute(ACTIVE, {"account_id": account_id}).fetchone()
    return None if row is None else Credential.from_row(row)


def set_expiry(tx: Transaction, account_id: str, expires_at: datetime | None) -> None:
    """Correct the date. Warnings given for the old date no longer count."""
    tx.execute(FORGET_WARNINGS, {"account_id": account_id})
    tx.execute(SET_EXPIRY, {"account_id": account_id, "expires_at": expires_at})


def warnings_given(tx: Transaction, credential_id: str, *, latest: datetime) -> Sequence[int]:
    """The countdown steps, in days, that were told until `latest`; later ones were told by a clock that ran ahead."""
    return [row["days_left"] for row in tx.execute(WARNED, {"credential_id": credential_id, "latest": latest})]


def record_warning(tx: Transaction, credential: Credential, days_left: int, *, now: datetime) -> None:
    """Remember that this step of the countdown was told."""
    tx.execute(
        WARN,
        {
            "credential_id": credential.id,
            "account_id": credential.account_id,
            "days_left": days_left,
            "now": now,
        },
    )
