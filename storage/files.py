"""Files: content that is to be attached to letters, in pieces, so that nobody ever holds a large one whole.

A file is received piece by piece, each on disk before the next is read; `finish` makes it usable. Any number of letters
may use one. What no letter needs is forgotten when it expires, also what was never received to its end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Final, Self

from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment

PIECE: Final = 512 * 1024
"""Bytes of a stored piece: small enough that a commit with one keeps nobody waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that was received whole. Size in bytes. Kept until `expires_at`, and as long as a letter needs it."""

    id: str
    account_id: str
    name: str
    content_type: str
    size: int
    sha256: bytes
    expires_at: datetime
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `files`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            name=row["name"],
            content_type=row["content_type"],
            size=row["size"],
            sha256=row["sha256"],
            expires_at=moment(row["expires_at"]),
            created_at=moment(row["created_at"]),
        )


BEGIN = """
INSERT INTO files (id, account_id, name, content_type, expires_at, created_at)
VALUES (:id, :account_id, :name, :content_type, :expires_at, :now)
"""
ADD = """
INSERT INTO file_pieces (file_id, position, account_id, starts_at, content)
SELECT id, :position, account_id, :starts_at, :content FROM files WHERE id = :id AND sha256 IS NULL
"""
FINISH = "UPDATE files SET size = :size, sha256 = :sha256 WHERE id = :id AND sha256 IS NULL RETURNING *"
GET = "SELECT * FROM files WHERE account_id = :account_id AND id = :id AND sha256 IS NOT NULL"
PIECES = """
SELECT starts_at, content FROM file_pieces
 WHERE file_id = :id AND starts_at < :end AND starts_at + length(content) > :start ORDER BY position
"""
DELETE = "DELETE FROM files WHERE id = :id"
FORGET_EXPIRED = """
DELETE FROM files
 WHERE account_id = :account_id AND expires_at <= :now
   AND NOT EXISTS (SELECT 1 FROM letter_attachments WHERE letter_attachments.file_id = files.id)
"""
UNUSED_BYTES = """
SELECT coalesce(sum(length(file_pieces.content)), 0) AS bytes
  FROM files JOIN file_pieces ON file_pieces.file_id = files.id
 WHERE files.account_id = :account_id
   AND NOT EXISTS (SELECT 1 FROM letter_attachments WHERE letter_attachments.file_id = files.id)
"""


def begin(
    tx: Transaction, account_id: str, *, name: str, content_type: str, expires_at: datetime, now: datetime
) -> str:
    """Begin to receive a file; its id. It can be used once it is finished."""
    file_id = new_id("fil", now)
    tx.execute(
        BEGIN,
        {
            "id": file_id,
            "account_id": account_id,
            "name": name,
            "content_type": content_type,
            "expires_at": expires_at,
            "now": now,
        },
    )
    return file_id


def add_piece(tx: Transaction, file_id: str, *, position: int, starts_at: int, content: bytes) -> None:
    """The next piece, which begins `starts_at` bytes into the file. Raises `NotFound` when it has been forgotten."""
    piece = {"id": file_id, "position": position, "starts_at": starts_at, "content": content}
    if tx.execute(ADD, piece).rowcount != 1:
        raise NotFound("This file is no longer being received.")


def finish(tx: Transaction, file_id: str, *, size: int, sha256: bytes) -> File:
    """All pieces are here: from now on letters can use it. Raises `Conflict` when that was said before."""
    row = tx.execute(FINISH, {"id": file_id, "size": size, "sha256": sha256}).fetchone()
    if row is None:
        raise Conflict("This file is no longer being received.")
    return File.from_row(row)


def store(
    tx: Transaction,
    account_id: str,
    *,
    name: str,
    content_type: str,
    content: bytes,
    sha256: bytes,
    expires_at: datetime,
    now: datetime,
) -> File:
    """A small file, whole."""
    file_id = begin(tx, account_id, name=name, content_type=content_type, expires_at=expires_at, now=now)
    for position, start in enumerate(range(0, len(content), PIECE)):
        add_piece(tx, file_id, position=position, starts_at=start, content=content[start : start + PIECE])
    return finish(tx, file_id, size=len(content), sha256=sha256)


def get(tx: Transaction, account_id: str, file_id: str) -> File:
    """Raises `NotFound`, also for another account's, and for one that was never received to its end."""
    row = tx.execute(GET, {"account_id": account_id, "id": file_id}).fetchone()
    if row is None:
        raise NotFound("There is no such file.")
    return File.from_row(row)


def read(tx: Transaction, file_id: str, *, start: int, length: int) -> bytes:
    """Some of its bytes; fewer at its end."""
    return b"".join(_cut(tx, file_id, start, start + length))


def _cut(tx: Transaction, file_id: str, start: int, end: int) -> Iterator[bytes]:
    for row in tx.execute(PIECES, {"id": file_id, "start": start, "end": end}):
        begins = row["starts_at"]
        yield row["content"][max(start - begins, 0) : end - begins]


def delete(tx: Transaction, file_id: str) -> None:
    """Forget one that no letter uses."""
    tx.execute(DELETE, {"id": file_id})


def forget_expired(tx: Transaction, account_id: str, *, now: datetime) -> int:
    """Forget what has expired and no letter needs; how many that were."""
    return tx.execute(FORGET_EXPIRED, {"account_id": account_id, "now": now}).rowcount


def unused_bytes(tx: Transaction, account_id: str) -> int:
    """How much lies here that no letter uses yet."""
    return int(tx.execute(UNUSED_BYTES, {"account_id": account_id}).fetchone()["bytes"])
