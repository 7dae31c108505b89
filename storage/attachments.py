"""The attachments of letters on their way: which file each is, and how far its upload has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Self

import orjson

from storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterAttachment:
    """An attachment as SELMA posted it. Size in bytes. One with a `content_id` is shown inside the HTML.

    `file_id` is None once the content is no longer kept here: the letter left, and its mailbox has it. `upload_url` is
    where an upload that was begun goes on, at `upload_offset`; whoever has it can write to the draft, so it is secret.
    """

    position: int
    name: str
    content_type: str
    content_id: str | None
    size: int
    sha256: bytes
    file_id: str | None
    upload_url: str | None = None
    upload_offset: int = 0

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `letter_attachments`."""
        return cls(**{name: row[name] for name in cls.__slots__})


INSERT = """
INSERT INTO letter_attachments (message_id, position, account_id, name, content_type, content_id, size, sha256, file_id)
VALUES (:message_id, :position, :account_id, :name, :content_type, :content_id, :size, :sha256, :file_id)
"""
OF_LETTER = "SELECT * FROM letter_attachments WHERE message_id = :message_id ORDER BY position"
UPLOADED = """
UPDATE letter_attachments SET upload_url = :url, upload_offset = :offset
 WHERE message_id = :message_id AND position = :position
"""
FORGET_UPLOADS = """
UPDATE letter_attachments SET upload_url = NULL, upload_offset = 0
 WHERE message_id = :message_id AND upload_url IS NOT NULL
"""
LET_GO = """
UPDATE letter_attachments SET file_id = NULL, upload_url = NULL
 WHERE account_id = :account_id AND file_id IS NOT NULL
   AND message_id IN (SELECT message_id FROM outbox
                       WHERE account_id = :account_id AND state IN (SELECT value FROM json_each(:states))
                         AND state_since < :before)
"""


def insert(tx: Transaction, account_id: str, message_id: str, attachments: Sequence[LetterAttachment]) -> None:
    """Those of a letter that was just inserted."""
    tx.executemany(
        INSERT,
        [
            {
                "message_id": message_id,
                "position": one.position,
                "account_id": account_id,
                "name": one.name,
                "content_type": one.content_type,
                "content_id": one.content_id,
                "size": one.size,
                "sha256": one.sha256,
                "file_id": one.file_id,
            }
            for one in attachments
        ],
    )


def of_letter(tx: Transaction, message_id: str) -> list[LetterAttachment]:
    """In the order SELMA gave them."""
    return [LetterAttachment.from_row(row) for row in tx.execute(OF_LETTER, {"message_id": message_id})]


def uploaded(tx: Transaction, message_id: str, position: int, *, url: str | None, offset: int) -> None:
    """So far an upload has come; without a URL it is over, or has to begin anew."""
    tx.execute(UPLOADED, {"message_id": message_id, "position": position, "url": url, "offset": offset})


def forget_uploads(tx: Transaction, message_id: str) -> None:
    """The letter becomes another draft: what was begun for the one before is of no use."""
    tx.execute(FORGET_UPLOADS, {"message_id": message_id})


def let_go(tx: Transaction, account_id: str, *, states: Sequence[str], before: datetime) -> int:
    """Letters in these states since before then need their files no more; how many attachments that were."""
    question = {"account_id": account_id, "states": orjson.dumps(list(states)).decode(), "before": before}
    return tx.execute(LET_GO, question).rowcount
