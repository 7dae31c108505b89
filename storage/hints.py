"""Hints: what Graph told us, kept before it hears 202, closed when the message was seen, not ours, or gone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

import orjson

from storage.transaction import Transaction, microseconds, moment, moment_or_none


class HintOutcome(StrEnum):
    """What became of a hint."""

    STORED = "stored"
    NOT_OURS = "not_ours"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHint:
    """A hint as it comes in. `message_id` is Graph's; `folder_id` is ours.

    One that is `held` waits for what its notification brought to be opened: it is looked into only after that.
    """

    account_id: str
    folder_id: str
    change_type: str
    message_id: str
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComeIn:
    """What came in at one time, by one request. Those that are held wait until `held_until`, if there is one."""

    hints: Sequence[NewHint]
    at: datetime
    held_until: datetime | None = None
    traceparent: str | None = None


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
INSERT INTO hints (account_id, folder_id, change_type, message_id, received_at, retry_at, traceparent)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
OPEN = "SELECT * FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL ORDER BY id LIMIT :limit"
DUE = """
SELECT * FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL AND retry_at <= :now ORDER BY id LIMIT :limit
"""
OPEN_ABOUT = "SELECT * FROM hints WHERE folder_id = :folder_id AND message_id = :message_id AND closed_at IS NULL"
TOLD = "SELECT message_id FROM hints WHERE folder_id = :folder_id AND change_type = :change_type"
TOLD_OF = "SELECT min(received_at) AS at FROM hints WHERE folder_id = :folder_id AND message_id = :message_id"
OLDEST_OPEN = """
SELECT count(*) AS count, min(received_at) AS oldest_at FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL
"""
NEXT_RETRY = "SELECT min(retry_at) AS at FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL"
CLOSE = """
UPDATE hints SET outcome = :outcome, closed_at = :now
 WHERE folder_id = :folder_id AND message_id IN (SELECT value FROM json_each(:message_ids)) AND closed_at IS NULL
"""
CLOSE_OPENED = """
UPDATE hints SET outcome = 'not_ours', closed_at = :now, opened = 1
 WHERE folder_id = :folder_id AND message_id = :message_id AND closed_at IS NULL
"""
OPENED = "SELECT 1 FROM hints WHERE folder_id = :folder_id AND message_id = :message_id AND opened = 1"
LOOK_NOW = """
UPDATE hints SET retry_at = :now
 WHERE folder_id = :folder_id AND message_id = :message_id AND closed_at IS NULL AND retry_at > :now
"""
POSTPONE = "UPDATE hints SET attempts = attempts + 1, retry_at = :retry_at WHERE id = :id"
ORIGINS = """
SELECT traceparent FROM hints
 WHERE folder_id = :folder_id AND closed_at IS NULL AND retry_at <= :now AND traceparent IS NOT NULL
 GROUP BY traceparent ORDER BY min(id) LIMIT :limit
"""
PRUNE = "DELETE FROM hints WHERE account_id = :account_id AND closed_at < :before"


def insert(tx: Transaction, hints: Sequence[NewHint], *, now: datetime, held_until: datetime | None = None) -> None:
    """Keep hints and make their folders due, but for those that are held. Announces `folders`."""
    come_in = ComeIn(hints=hints, at=now, held_until=held_until, traceparent=tx.origin.traceparent)
    insert_all(tx, [come_in])


def insert_all(tx: Transaction, all_of_them: Sequence[ComeIn]) -> None:
    """The same for what came in at several times, with one statement for all rows."""
    rows: list[tuple[str | int | None, ...]] = []
    due: dict[str, datetime] = {}
    for one in all_of_them:
        at, until = microseconds(one.at), None if one.held_until is None else microseconds(one.held_until)
        for hint in one.hints:
            is_held = hint.held and until is not None
            what = (hint.account_id, hint.folder_id, hint.change_type, hint.message_id)
            rows.append((*what, at, until if is_held else at, one.traceparent))
            if not is_held:
                due.setdefault(hint.folder_id, one.at)
    tx.executemany(INSERT, rows)
    for folder_id, now in due.items():
        _pull_now(tx, [folder_id], now)


def _pull_now(tx: Transaction, folder_ids: Iterable[str], now: datetime) -> None:
    for folder_id in folder_ids:
        tx.execute(
            "UPDATE folders SET next_pull_at = :now WHERE id = :id AND next_pull_at > :now",
            {"id": folder_id, "now": now},
        )
        tx.announce("folders")


def told_of(tx: Transaction, folder_id: str, message_id: str) -> datetime | None:
    """When the first hint about this message came, open or closed; None if there is none, or none any more."""
    row = tx.execute(TOLD_OF, {"folder_id": folder_id, "message_id": message_id}).fetchone()
    return moment_or_none(row["at"])


def look_now(tx: Transaction, folder_id: str, message_ids: Iterable[str], *, now: datetime) -> None:
    """These are held no longer, and their folder is due. Announces `folders`."""
    for message_id in message_ids:
        tx.execute(LOOK_NOW, {"folder_id": folder_id, "message_id": message_id, "now": now})
    _pull_now(tx, [folder_id], now)


def close_opened(tx: Transaction, folder_id: str, message_id: str, *, now: datetime) -> None:
    """Close every open hint about this message: what its notification brought shows that it is not ours."""
    tx.execute(CLOSE_OPENED, {"folder_id": folder_id, "message_id": message_id, "now": now})


def opened(tx: Transaction, folder_id: str, message_ids: Iterable[str]) -> frozenset[str]:
    """Those of these messages that their notifications have shown not to be ours, not long ago."""
    return frozenset(
        message_id
        for message_id in message_ids
        if tx.execute(OPENED, {"folder_id": folder_id, "message_id": message_id}).fetchone() is not None
    )


def open_hints(tx: Transaction, folder_id: str, *, limit: int = 1000) -> list[Hint]:
    """Oldest first."""
    return [Hint.from_row(row) for row in tx.execute(OPEN, {"folder_id": folder_id, "limit": limit})]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is still to be looked into: how much, since when the oldest."""

    count: int
    oldest_at: datetime | None


def waiting(tx: Transaction, folder_id: str) -> Waiting:
    """How far behind what Graph told of this folder we are."""
    row = tx.execute(OLDEST_OPEN, {"folder_id": folder_id}).fetchone()
    return Waiting(count=row["count"], oldest_at=moment_or_none(row["oldest_at"]))


def insert_for_later(tx: Transaction, hint: NewHint, *, retry_at: datetime, now: datetime) -> None:
    """Keep a hint that there is no use in following before `retry_at`."""
    tx.execute(INSERT, (hint.account_id, hint.folder_id, hint.change_type, hint.message_id, now, retry_at, None))


def due(tx: Transaction, folder_id: str, now: datetime, *, limit: int) -> list[Hint]:
    """Those worth looking into now, oldest first."""
    return [Hint.from_row(row) for row in tx.execute(DUE, {"folder_id": folder_id, "now": now, "limit": limit})]


def origins(tx: Transaction, folder_id: str, now: datetime, *, limit: int) -> list[str]:
    """The traceparents of the notifications that are to be looked into now, oldest first."""
    question = {"folder_id": folder_id, "now": now, "limit": limit}
    return [row["traceparent"] for row in tx.execute(ORIGINS, question)]


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


def close(tx: Transaction, folder_id: str, message_ids: Iterable[str], outcome: HintOutcome, *, now: datetime) -> None:
    """Close every open hint about these messages in this folder."""
    ids = orjson.dumps(list(message_ids)).decode()
    tx.execute(CLOSE, {"folder_id": folder_id, "message_ids": ids, "outcome": outcome, "now": now})


def postpone(tx: Transaction, hint: Hint, retry_at: datetime) -> None:
    """Its message could not be seen yet; look again at `retry_at`."""
    tx.execute(POSTPONE, {"id": hint.id, "retry_at": retry_at})


def prune(tx: Transaction, account_id: str, before: datetime) -> int:
    """Forget an account's hints that were closed before `before`; how many."""
    return tx.execute(PRUNE, {"account_id": account_id, "before": before}).rowcount
