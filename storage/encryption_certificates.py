"""Certificates that Graph encrypts notifications for. The private keys are sealed; old ones stay for a while."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from sqlite3 import Row
from typing import Self

from storage.transaction import Transaction, moment
from storage.vault import Key, MasterKey, check_current


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionCertificate:
    """`certificate` is the base64 of the DER; `ciphertext` is its private key, which opens with the master key."""

    id: str
    account_id: str
    certificate: str
    ciphertext: bytes = field(repr=False)
    not_after: datetime
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `encryption_certificates`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            certificate=row["certificate"],
            ciphertext=row["private_key"],
            not_after=moment(row["not_after"]),
            created_at=moment(row["created_at"]),
        )

    def open(self, key: Key) -> str:
        """The private key as PEM. Raises `WrongMasterKey`."""
        return key.open(self.ciphertext, _context(self.account_id, self.id))


INSERT = """
INSERT INTO encryption_certificates (id, account_id, certificate, private_key, not_after, created_at)
VALUES (:id, :account_id, :certificate, :private_key, :not_after, :now)
"""
OF_ACCOUNT = """
SELECT * FROM encryption_certificates WHERE account_id = :account_id ORDER BY created_at DESC, id
"""
IN_USE = """
SELECT DISTINCT encryption_certificate_id AS id FROM subscriptions
 WHERE account_id = :account_id AND state <> 'gone' AND encryption_certificate_id IS NOT NULL
"""
ALL_SEALED = "SELECT * FROM encryption_certificates"
RESEAL = "UPDATE encryption_certificates SET private_key = :private_key WHERE id = :id"
DELETE = "DELETE FROM encryption_certificates WHERE id = :id"


def _context(account_id: str, certificate_id: str) -> str:
    return f"encryption_certificates/{account_id}/{certificate_id}"


def add(
    tx: Transaction,
    account_id: str,
    *,
    id: str,
    certificate: str,
    private_key: str,
    not_after: datetime,
    key: Key,
    now: datetime,
) -> EncryptionCertificate:
    """Keep a new one, sealed, before Graph hears of it. Raises `WrongMasterKey` when the key has been replaced."""
    check_current(tx, key)
    made = EncryptionCertificate(
        id=id,
        account_id=account_id,
        certificate=certificate,
        ciphertext=key.seal(private_key, _context(account_id, id)),
        not_after=not_after,
        created_at=now,
    )
    tx.execute(
        INSERT,
        {
            "id": made.id,
            "account_id": account_id,
            "certificate": certificate,
            "private_key": made.ciphertext,
            "not_after": not_after,
            "now": now,
        },
    )
    return made


def of_account(tx: Transaction, account_id: str) -> Sequence[EncryptionCertificate]:
    """Newest first."""
    return [EncryptionCertificate.from_row(row) for row in tx.execute(OF_ACCOUNT, {"account_id": account_id})]


def in_use(tx: Transaction, account_id: str) -> frozenset[str]:
    """The ids that subscriptions name which are not gone."""
    return frozenset(row["id"] for row in tx.execute(IN_USE, {"account_id": account_id}))


def delete(tx: Transaction, certificate_id: str) -> None:
    """Nothing that was encrypted for it can be opened any more."""
    tx.execute(DELETE, {"id": certificate_id})


def reseal(tx: Transaction, old: MasterKey, new: MasterKey) -> int:
    """Seal every private key with another key; how many. Raises `WrongMasterKey` when `old` does not open one."""
    stored = [EncryptionCertificate.from_row(row) for row in tx.execute(ALL_SEALED)]
    for one in stored:
        sealed = new.seal(one.open(old), _context(one.account_id, one.id))
        tx.execute(RESEAL, {"id": one.id, "private_key": sealed})
    return len(stored)
