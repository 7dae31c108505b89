"""Credentials of an account: sealed, with a hint of three characters and the date on which they end.

One is `active` and proves the account first. One may be `standby`: it serves when the active one is refused. One may
be `pending`: it was never accepted yet and serves nothing. What is `retired` keeps its dates but not its secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage import accounts
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none
from storage.vault import Key, MasterKey, check_current

HINT_LENGTH = 3


class CredentialKind(StrEnum):
    """How the app proves who it is."""

    CLIENT_SECRET = "client_secret"
    CERTIFICATE = "certificate"
    FEDERATED = "federated"


class CredentialState(StrEnum):
    """What a credential is for."""

    PENDING = "pending"
    ACTIVE = "active"
    STANDBY = "standby"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """What is to be stored. `secret` is a client secret, a private key (PEM), or the path of an assertion.

    `public_part` is the certificate (PEM), or the path again: what may be shown.
    """

    kind: CredentialKind
    secret: str = field(repr=False)
    hint: str
    public_part: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A stored credential. `hint` is its first three characters; the rest opens only with the master key.

    `problem` says why it was refused at `refused_at`; None when it was accepted since.
    """

    id: str
    account_id: str
    kind: CredentialKind
    state: CredentialState
    ciphertext: bytes = field(repr=False)
    hint: str
    public_part: str | None
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    refused_at: datetime | None
    problem: dict[str, Any] | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `credentials`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            kind=CredentialKind(row["kind"]),
            state=CredentialState(row["state"]),
            ciphertext=row["ciphertext"],
            hint=row["hint"],
            public_part=row["public_part"],
            expires_at=moment_or_none(row["expires_at"]),
            created_at=moment(row["created_at"]),
            last_used_at=moment_or_none(row["last_used_at"]),
            refused_at=moment_or_none(row["refused_at"]),
            problem=None if row["problem"] is None else orjson.loads(row["problem"]),
        )

    def open(self, key: Key) -> str:
        """The secret itself. Raises `WrongMasterKey`."""
        return key.open(self.ciphertext, _context(self.account_id, self.id))


INSERT = """
INSERT INTO credentials (id, account_id, kind, ciphertext, hint, public_part, expires_at, state, created_at)
VALUES (:id, :account_id, :kind, :ciphertext, :hint, :public_part, :expires_at, 'pending', :now)
"""
GET = "SELECT * FROM credentials WHERE account_id = :account_id AND id = :id"
IN_SLOT = "SELECT * FROM credentials WHERE account_id = :account_id AND state = :state"
SLOTS = """
SELECT * FROM credentials WHERE account_id = :account_id AND state <> 'retired'
 ORDER BY CASE state WHEN 'active' THEN 0 WHEN 'standby' THEN 1 ELSE 2 END
"""
SERVING = "SELECT * FROM credentials WHERE account_id = :account_id AND state IN ('active', 'standby') ORDER BY state"
RETIRE = """
UPDATE credentials SET state = 'retired', ciphertext = x'' WHERE account_id = :account_id AND state = :state
"""
MOVE = "UPDATE credentials SET state = :to WHERE account_id = :account_id AND state = :state"
USED = "UPDATE credentials SET last_used_at = :now, problem = NULL WHERE id = :id"
REFUSED = "UPDATE credentials SET refused_at = :now, problem = :problem WHERE id = :id AND state <> 'retired'"
LAST_USED = """
SELECT id FROM credentials WHERE account_id = :account_id AND last_used_at IS NOT NULL
 ORDER BY last_used_at DESC, id DESC LIMIT 1
"""
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
ALL_SEALED = "SELECT * FROM credentials WHERE length(ciphertext) > 0 ORDER BY id"
RESEAL = "UPDATE credentials SET ciphertext = :ciphertext WHERE id = :id"


def _context(account_id: str, credential_id: str) -> str:
    return f"credentials/{account_id}/{credential_id}"


def add(tx: Transaction, account_id: str, new: NewCredential, *, key: Key, now: datetime) -> Credential:
    """Store one that serves nothing yet, in the place of one that was waiting."""
    credential_id = new_id("cred", now)
    check_current(tx, key)
    retire(tx, account_id, CredentialState.PENDING)
    tx.execute(
        INSERT,
        {
            "id": credential_id,
            "account_id": account_id,
            "kind": new.kind,
            "ciphertext": key.seal(new.secret, _context(account_id, credential_id)),
            "hint": new.hint[:HINT_LENGTH],
            "public_part": new.public_part,
            "expires_at": new.expires_at,
            "now": now,
        },
    )
    tx.announce("accounts")
    return get(tx, account_id, credential_id)


def take_over(tx: Transaction, account_id: str) -> Credential | None:
    """The pending one is the active one from now on and the one before stands by; the one that leaves for that.

    A refused one does not drive out a well one that stands by.
    """
    before, old = in_slot(tx, account_id, CredentialState.ACTIVE), in_slot(tx, account_id, CredentialState.STANDBY)
    is_dead = before is not None and before.problem is not None and old is not None and old.problem is None
    leaves = before if is_dead else old
    if leaves is not None:
        retire(tx, account_id, leaves.state)
    _move(tx, account_id, CredentialState.ACTIVE, CredentialState.STANDBY)
    _move(tx, account_id, CredentialState.PENDING, CredentialState.ACTIVE)
    tx.announce("accounts")
    return leaves


def retire(tx: Transaction, account_id: str, state: CredentialState) -> bool:
    """Forget the secret of the one in this slot; whether there was one."""
    tx.announce("accounts")
    return bool(tx.execute(RETIRE, {"account_id": account_id, "state": state}).rowcount)


def retire_all(tx: Transaction, account_id: str) -> None:
    """Another tenant or app: none of them fits it."""
    for state in (CredentialState.PENDING, CredentialState.STANDBY, CredentialState.ACTIVE):
        retire(tx, account_id, state)


def remove(tx: Transaction, account_id: str, credential_id: str) -> Credential:
    """Retire one; the one that stands by takes the active one's place. Raises `NotFound`, and `Conflict` for the
    only one that serves.
    """
    found = get(tx, account_id, credential_id)
    if found.state is CredentialState.RETIRED:
        raise NotFound(f"There is no credential {credential_id}.")
    if found.state is CredentialState.ACTIVE and in_slot(tx, account_id, CredentialState.STANDBY) is None:
        raise Conflict("This is the only credential that serves: without it no letter leaves. Add another one first.")
    retire(tx, account_id, found.state)
    if found.state is CredentialState.ACTIVE:
        _move(tx, account_id, CredentialState.STANDBY, CredentialState.ACTIVE)
    return found


def replace_client_secret(
    tx: Transaction,
    account_id: str,
    secret: str,
    *,
    expires_at: datetime | None,
    key: Key,
    now: datetime,
) -> Credential:
    """Make `secret` the account's active credential, untried; the one before it stands by."""
    new = NewCredential(kind=CredentialKind.CLIENT_SECRET, secret=secret, hint=secret, expires_at=expires_at)
    accounts.forget_token(tx, account_id)
    added = add(tx, account_id, new, key=key, now=now)
    take_over(tx, account_id)
    return get(tx, account_id, added.id)


def get(tx: Transaction, account_id: str, credential_id: str) -> Credential:
    """Raises `NotFound`."""
    row = tx.execute(GET, {"account_id": account_id, "id": credential_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no credential {credential_id}.")
    return Credential.from_row(row)


def in_slot(tx: Transaction, account_id: str, state: CredentialState) -> Credential | None:
    """The one that is active, standing by or pending."""
    row = tx.execute(IN_SLOT, {"account_id": account_id, "state": state}).fetchone()
    return None if row is None else Credential.from_row(row)


def active(tx: Transaction, account_id: str) -> Credential | None:
    """The credential that is tried first, if there is one."""
    return in_slot(tx, account_id, CredentialState.ACTIVE)


def newest(tx: Transaction, account_id: str) -> Credential | None:
    """The active one, or one that waits to become it, such as a certificate made before the account was connected."""
    return active(tx, account_id) or in_slot(tx, account_id, CredentialState.PENDING)


def slots(tx: Transaction, account_id: str) -> list[Credential]:
    """All that are not retired: active, standby, pending."""
    return [Credential.from_row(row) for row in tx.execute(SLOTS, {"account_id": account_id})]


def serving(tx: Transaction, account_id: str) -> list[Credential]:
    """Those a token may be asked for with, in this order."""
    return [Credential.from_row(row) for row in tx.execute(SERVING, {"account_id": account_id})]


def used(tx: Transaction, account_id: str, credential_id: str, *, now: datetime) -> tuple[bool, bool]:
    """It brought a token. Whether another one had brought the token before, and whether it was refused before."""
    before = get(tx, account_id, credential_id)
    last = tx.execute(LAST_USED, {"account_id": account_id}).fetchone()
    tx.execute(USED, {"id": credential_id, "now": now})
    return last is None or last["id"] != credential_id, before.problem is not None


def refused(tx: Transaction, account_id: str, credential_id: str, problem: dict[str, Any], *, now: datetime) -> bool:
    """Entra does not take it; true when that is news."""
    before = get(tx, account_id, credential_id)
    tx.execute(REFUSED, {"id": credential_id, "problem": orjson.dumps(problem).decode(), "now": now})
    return before.problem is None


def set_expiry(tx: Transaction, account_id: str, expires_at: datetime | None) -> None:
    """Correct the date of the active one. Warnings given for the old date no longer count."""
    tx.execute(FORGET_WARNINGS, {"account_id": account_id})
    tx.execute(SET_EXPIRY, {"account_id": account_id, "expires_at": expires_at})


def refine_expiry(tx: Transaction, account_id: str, expires_at: datetime) -> None:
    """The same date, more exactly: warnings that were given still count."""
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


def reseal(tx: Transaction, old: MasterKey, new: MasterKey) -> int:
    """Seal every secret with another key; how many. Raises `WrongMasterKey` when `old` does not open one."""
    rows = [Credential.from_row(row) for row in tx.execute(ALL_SEALED)]
    for one in rows:
        sealed = new.seal(one.open(old), _context(one.account_id, one.id))
        tx.execute(RESEAL, {"id": one.id, "ciphertext": sealed})
    return len(rows)


def _move(tx: Transaction, account_id: str, state: CredentialState, to: CredentialState) -> None:
    tx.execute(MOVE, {"account_id": account_id, "state": state, "to": to})
