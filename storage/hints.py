"""Hints: what Graph told us, kept before it hears 202, closed when the message was seen, not ours, or gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

from storage.database import Transaction, moment, moment_or_none


class HintOutcome(StrEnum):
    """What became of a hint."""

    STORED = "stored"
    NOT_OURS = "not_ours"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHint:
    """A hint as it comes in. `message_id` is Graph's; `folder_id` is ours."""

    account_id: str
    folder_id: str
    change_type: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """An open hint. Until `retry_at` there is no use in looking for its message."""

    id: int
    folder_id: str
    message_id: str
    change_type: str
    received_at: datetime
    attempts: int
    retry_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `hints`."""
        return cls(
            id=row["id"],
            folder_id=row["folder_id"],
            message_id=row["message_id"],
            change_type=row["change_type"],
            received_at=moment(row["received_at"]),
            attempts=row["attempts"],
            retry_at=moment(row["retry_at"]),
        )


INSERT = """
INSERT INTO hints (account_id, folder_id, change_type, message_id, received_at, retry_at)
VALUES (?, ?, ?, ?, ?, ?)
"""
OPEN = "SELECT * FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL ORDER BY id LIMIT :limit"
DUE = """
SELECT * FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL AND retry_at <= :now ORDER BY id LIMIT :limit
"""
OPEN_ABOUT = "SELECT * FROM hints WHERE folder_id = :folder_id AND message_id = :message_id AND closed_at IS NULL"
TOLD = "SELECT message_id FROM hints WHERE folder_id = :folder_id AND change_type = :change_type"
NEXT_RETRY = "SELECT min(retry_at) AS at FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL"
CLOSE = """
UPDATE hints SET outcome = :outcome, closed_at = :now
 WHERE folder_id = :folder_id AND message_id = :message_id AND closed_at IS NULL
"""
POSTPONE = "UPDATE hints SET attempts = attempts + 1, retry_at = :retry_at WHERE id = :id"
PRUNE = "DELETE FROM hints WHERE account_id = :account_id AND closed_at < :before"


def insert(tx: Transaction, hints: Sequence[NewHint], *, now: datetime) -> None:
    """Keep hints and make their folders due. Announces `folders`."""
    rows = [(hint.account_id, hint.folder_id, hint.change_type, hint.message_id, now, now) for hint in hints]
    tx.executemany(INSERT, rows)
    for folder_id in {hint.folder_id for hint in hints}:
        tx.execute(
            "UPDATE folders SET next_pull_at = :now WHERE id = :id AND next_pull_at > :now",
            {"id": folder_id, "now": now},
        )
    tx.announce("folders")


def open_hints(tx: Transaction, folder_id: str, *, limit: int = 1000) -> list[Hint]:
    """Oldest first."""
    return [Hint.from_row(row) for row in tx.execute(OPEN, {"folder_id": folder_id, "limit": limit})]


def insert_for_later(tx: Transaction, hint: NewHint, *, retry_at: datetime, now: datetime) -> None:
    """Keep a hint that there is no use in following before `retry_at`."""
    tx.execute(INSERT, (hint.account_id, hint.folder_id, hint.change_type, hint.message_id, now, retry_at))


def due(tx: Transaction, folder_id: str, now: datetime, *, limit: int) -> list[Hint]:
    """Those worth looking into now, oldest first."""
    return [Hint.from_row(row) for row in tx.execute(DUE, {"folder_id": folder_id, "now": now, "limit": limit})]


def open_about(tx: Transaction, folder_id: str, message_id: str) -> list[Hint]:
    """The open hints about this message; Graph likes to tell things twice."""
    question = {"folder_id": folder_id, "message_id": message_id}
    return [Hint.from_row(row) for row in tx.execute(OPEN_ABOUT, question)]


def told(tx: Transaction, folder_id: str, change_type: str) -> set[str]:
    """The messages that hints of this kind are about: the open ones, and those closed not long ago."""
    rows = tx.execute(TOLD, {"folder_id": folder_id, "change_type": change_type})
    return {row["message_id"] for row in rows}


def next_retry(tx: Transaction, folder_id: str) -> datetime | None:
    """When the next open hint of this folder is worth looking into."""
    return moment_or_none(tx.execute(NEXT_RETRY, {"folder_id": folder_id}).fetchone()["at"])


def close(tx: Transaction, folder_id: str, message_id: str, outcome: HintOutcome, *, now: datetime) -> None:
    """Close every open hint about this message in this folder."""
    tx.execute(CLOSE, {"folder_id": folder_id, "message_id": message_id, "outcome": outcome, "now": now})


def postpone(tx: Transaction, hint: Hint, retry_at: datetime) -> None:
    """Its message could not be seen yet; look again at `retry_at`."""
    tx.execute(POSTPONE, {"id": hint.id, "retry_at": retry_at})


def prune(tx: Transaction, account_id: str, before: datetime) -> int:
    """Forget an account's hints that were closed before `before`; how many."""
    return tx.execute(PRUNE, {"account_id": account_id, "before": before}).rowcount
