"""The event log: one ordered list per account, written in the transaction of what it tells."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage.origins import NOWHERE, Origin
from storage.transaction import Transaction, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`seq` only grows; it is the cursor of every reader. `origin` is the request or the work that began it."""

    seq: int
    account_id: str
    type: str
    thread_id: str | None
    message_id: str | None
    data: dict[str, Any]
    created_at: datetime
    origin: Origin = NOWHERE

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `events`."""
        return cls(
            seq=row["seq"],
            account_id=row["account_id"],
            type=row["type"],
            thread_id=row["thread_id"],
            message_id=row["message_id"],
            data=orjson.loads(row["data"]),
            created_at=moment(row["created_at"]),
            origin=Origin.from_row(row),
        )


INSERT = """
INSERT INTO events (account_id, type, thread_id, message_id, data, created_at, traceparent, request_id)
VALUES (:account_id, :type, :thread_id, :message_id, :data, :now, :traceparent, :request_id)
"""
AFTER = "SELECT * FROM events WHERE account_id = :account_id AND seq > :after ORDER BY seq LIMIT :limit"
OF_OBJECT = """
SELECT events.* FROM events
 WHERE events.account_id = :account_id AND events.seq > :after
   AND EXISTS (SELECT 1 FROM thread_objects
                WHERE thread_objects.account_id = :account_id AND thread_objects.type = :type
                  AND thread_objects.object_id = :object_id AND thread_objects.thread_id = events.thread_id)
 ORDER BY events.seq LIMIT :limit
"""
NEWEST = "SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name = 'events'"
CONTINUE_FROM = "UPDATE sqlite_sequence SET seq = max(seq, :seq) WHERE name = 'events'"
LAST = "SELECT coalesce(max(seq), 0) AS seq FROM events WHERE account_id = :account_id"


def record(
    tx: Transaction,
    account_id: str,
    event_type: str,
    *,
    thread_id: str | None = None,
    message_id: str | None = None,
    data: dict[str, Any] | None = None,
    origin: Origin | None = None,
    now: datetime,
) -> None:
    """Add to the log. `data` holds ids and states, never mail. Announces `events`.

    `origin` is what began it, where that is another than what the transaction was begun by.
    """
    begun_by = tx.origin if origin is None or origin == NOWHERE else origin
    tx.execute(
        INSERT,
        {
            "account_id": account_id,
            "type": event_type,
            "thread_id": thread_id,
            "message_id": message_id,
            "data": orjson.dumps(data or {}).decode(),
            "now": now,
            "traceparent": begun_by.traceparent,
            "request_id": begun_by.request_id,
        },
    )
    tx.announce("events")


def after(tx: Transaction, account_id: str, seq: int, *, limit: int) -> list[Event]:
    """In order, from just behind `seq`."""
    question = {"account_id": account_id, "after": seq, "limit": limit}
    return [Event.from_row(row) for row in tx.execute(AFTER, question)]


def of_object(
    tx: Transaction, account_id: str, seq: int, *, object_type: str, object_id: str, limit: int
) -> list[Event]:
    """As `after`, but only what happened in threads that are linked to an object now."""
    question = {
        "account_id": account_id,
        "after": seq,
        "type": object_type,
        "object_id": object_id,
        "limit": limit,
    }
    return [Event.from_row(row) for row in tx.execute(OF_OBJECT, question)]


def last_seq(tx: Transaction, account_id: str) -> int:
    """Where the log ends now; 0 when it is empty."""
    return int(tx.execute(LAST, {"account_id": account_id}).fetchone()["seq"])


def newest(tx: Transaction) -> int:
    """The number of the newest event that there ever was, of any account; 0 when there was none."""
    return int(tx.execute(NEWEST).fetchone()["seq"])


def continue_from(tx: Transaction, seq: int) -> None:
    """Give no number again that whoever reads the log may have seen already."""
    tx.execute(CONTINUE_FROM, {"seq": seq})
