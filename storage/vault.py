"""Secrets at rest: AES-256-GCM under a master key, each ciphertext bound to the row it belongs to."""

import hashlib
import secrets
import sqlite3
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.errors import WrongMasterKey
from storage.transaction import Transaction

KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D section 8.2.2: 96 random bits
FORMAT = b"\x01"

READ_CHECK = "SELECT check_ciphertext FROM vault WHERE id = 1"
WRITE_CHECK = """
INSERT INTO vault (id, key_id, check_ciphertext, created_at) VALUES (1, :key_id, :check_ciphertext, :now)
"""
REPLACE_CHECK = "UPDATE vault SET key_id = :key_id, check_ciphertext = :check_ciphertext WHERE id = 1"
READ_KEY_ID = "SELECT key_id FROM vault WHERE id = 1"
TOUCH = "UPDATE vault SET key_id = key_id"
CHECK_TEXT = b"selma-gateway"
CHECK_CONTEXT = "vault"


class Key(Protocol):
    """Seals and opens: a master key, or whoever holds the one of this moment."""

    @property
    def id(self) -> str:
        """Tells keys apart without revealing them."""
        ...

    def refresh(self) -> None:
        """Look whether the key has been replaced."""
        ...

    def seal(self, secret: str, context: str) -> bytes:
        """Encrypt for the row that `context` names."""
        ...

    def open(self, ciphertext: bytes, context: str) -> str:
        """Decrypt. Raises `WrongMasterKey`."""
        ...


@dataclass(frozen=True, slots=True)
class MasterKey:
    """32 secret bytes. Its text form is base64; `repr` shows neither."""

    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.value) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, this one has {len(self.value)}")

    @classmethod
    def new(cls) -> Self:
        """A fresh random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the base64 form. Raises `ValueError` when it is none, or of another length."""
        return cls(b64decode(text.strip(), validate=True))

    def to_text(self) -> str:
        """The base64 form, for a key file."""
        return b64encode(self.value).decode()

    @property
    def id(self) -> str:
        """Tells keys apart without revealing them."""
        return hashlib.sha256(b"selma-gateway key id" + self.value).hexdigest()[:8]

    def refresh(self) -> None:
        """This one stays what it is."""

    def derive(self, purpose: str) -> bytes:
        """32 bytes for another use, such as signing sessions; they tell nothing of the key."""
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=f"selma-gateway {purpose}".encode()).derive(self.value)

    def seal(self, secret: str, context: str) -> bytes:
        """Encrypt. `context` names the row; the ciphertext opens only in that row."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return FORMAT + nonce + AESGCM(self.value).encrypt(nonce, secret.encode(), context.encode())

    def open(self, ciphertext: bytes, context: str) -> str:
        """Decrypt. Raises `WrongMasterKey` when the key, the row or a single bit is another."""
        nonce, sealed = ciphertext[1 : 1 + NONCE_BYTES], ciphertext[1 + NONCE_BYTES :]
        try:
            if ciphertext[:1] != FORMAT:
                raise ValueError("another format")
            return AESGCM(self.value).decrypt(nonce, sealed, context.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise WrongMasterKey(
                "A stored secret cannot be opened with this master key. Start the gateway with the key it was "
                "set up with (GATEWAY_MASTER_KEY, or the key file beside the database)."
            ) from error


def is_sealed(tx: Transaction) -> bool:
    """Whether this file was ever opened with a master key."""
    return tx.execute(READ_CHECK).fetchone() is not None


def unlock(tx: Transaction, key: MasterKey, *, now: datetime) -> None:
    """Bind a new file to `key`, or prove that `key` is the one it is bound to (else `WrongMasterKey`)."""
    row = tx.execute(READ_CHECK).fetchone()
    if row is not None:
        key.open(row["check_ciphertext"], CHECK_CONTEXT)
        return
    sealed = key.seal(CHECK_TEXT.decode(), CHECK_CONTEXT)
    tx.execute(WRITE_CHECK, {"key_id": key.id, "check_ciphertext": sealed, "now": now})


def is_bound_to(connection: sqlite3.Connection, key: MasterKey) -> bool:
    """Whether `key` opens the file; true also for one that was never opened with a key."""
    row = connection.execute(READ_CHECK).fetchone()
    try:
        return row is None or key.open(row[0], CHECK_CONTEXT) is not None
    except WrongMasterKey:
        return False


def check_current(tx: Transaction, key: Key) -> None:
    """Nothing may be sealed with a key that has been replaced meanwhile. Raises `WrongMasterKey`."""
    row = tx.execute(READ_KEY_ID).fetchone()
    if row is None or row["key_id"] == key.id:
        return
    key.refresh()
    if row["key_id"] != key.id:
        raise WrongMasterKey("The master key was replaced. Start the gateway again with the new one.")


def bind_to(tx: Transaction, old: MasterKey, new: MasterKey) -> None:
    """From now on the file opens with `new`. Raises `WrongMasterKey` when `old` does not open it."""
    row = tx.execute(READ_CHECK).fetchone()
    if row is not None:
        old.open(row["check_ciphertext"], CHECK_CONTEXT)
    sealed = new.seal(CHECK_TEXT.decode(), CHECK_CONTEXT)
    tx.execute(REPLACE_CHECK, {"key_id": new.id, "check_ciphertext": sealed})


def touch(tx: Transaction) -> None:
    """Write something that changes nothing, to learn whether the file can be written."""
    tx.execute(TOUCH)
