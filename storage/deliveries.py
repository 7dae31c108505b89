"""Deliveries: each event on its way to each webhook. A claim is a lease in its row: whoever dies loses it in time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

from storage.errors import NotFound
from storage.events import Event
from storage.transaction import Transaction, moment_or_none


class DeliveryState(StrEnum):
    """Where a delivery stands. `failed`: the receiver takes others, but would not take this one."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`status`, `took_ms` and `problem` are those of the last attempt, at `attempted_at`."""

    webhook_id: str
    event: Event
    state: DeliveryState
    attempts: int
    first_failed_at: datetime | None
    next_attempt_at: datetime | None
    attempted_at: datetime | None
    status: int | None
    took_ms: int | None
    problem: str | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `SELECT_DELIVERY`."""
        return cls(
            webhook_id=row["webhook_id"],
            event=Event.from_row(row),
            state=DeliveryState(row["state"]),
            attempts=row["attempts"],
            first_failed_at=moment_or_none(row["first_failed_at"]),
            next_attempt_at=moment_or_none(row["next_attempt_at"]),
            attempted_at=moment_or_none(row["attempted_at"]),
            status=row["status"],
            took_ms=row["took_ms"],
            problem=row["problem"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one try. `status` is None when no answer came, `problem` when the receiver has the event."""

    status: int | None
    took_ms: int
    problem: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for one webhook: how much, since when the oldest."""

    count: int
    oldest_at: datetime | None


SELECT_DELIVERY = """
SELECT deliveries.webhook_id, deliveries.seq, deliveries.account_id, deliveries.state, deliveries.attempts,
       deliveries.first_failed_at, deliveries.next_attempt_at, deliveries.attempted_at, deliveries.status,
       deliveries.took_ms, deliveries.problem,
       events.type, events.thread_id, events.message_id, events.data, events.created_at, events.traceparent,
       events.request_id
  FROM deliveries JOIN events ON events.seq = deliveries.seq
"""
GET = SELECT_DELIVERY + " WHERE deliveries.webhook_id = :webhook_id AND deliveries.seq = :seq"
NEWEST = (
    SELECT_DELIVERY
    + """
 WHERE deliveries.webhook_id = :webhook_id AND deliveries.seq < :before
   AND (:state IS NULL OR deliveries.state = :state)
 ORDER BY deliveries.seq DESC LIMIT :limit
"""
)
INSERT = """
INSERT INTO deliveries (webhook_id, seq, account_id, in_order_of, state, next_attempt_at, created_at)
VALUES (:webhook_id, :seq, :account_id, :in_order_of, 'waiting', :now, :now) ON CONFLICT DO NOTHING
"""
# Longest due first; of a thread only its first, and that only when nobody has it in hand.
# By name: SQLite would rather walk through everything that was ever delivered.
CLAIM = """
UPDATE deliveries SET lease_ends_at = :lease_ends_at, attempts = attempts + 1
 WHERE webhook_id = :webhook_id AND seq IN (
       SELECT due.seq FROM deliveries AS due
        WHERE due.webhook_id = :webhook_id AND due.state = 'waiting' AND due.next_attempt_at <= :now
          AND (due.lease_ends_at IS NULL OR due.lease_ends_at <= :now)
          AND NOT EXISTS (SELECT 1 FROM deliveries AS before INDEXED BY deliveries_waiting
                           WHERE before.webhook_id = due.webhook_id AND before.in_order_of = due.in_order_of
                             AND before.state = 'waiting' AND before.seq < due.seq)
        ORDER BY due.next_attempt_at, due.seq LIMIT :limit)
RETURNING seq
"""
HAS_DUE = """
SELECT EXISTS (SELECT 1 FROM deliveries
                WHERE webhook_id = :webhook_id AND state = 'waiting' AND next_attempt_at <= :now) AS due
"""
IN_HAND = """
SELECT count(*) AS count FROM deliveries INDEXED BY deliveries_waiting
 WHERE webhook_id = :webhook_id AND state = 'waiting' AND lease_ends_at > :now
"""
DELIVERED = """
UPDATE deliveries
   SET state = 'delivered', next_attempt_at = NULL, lease_ends_at = NULL, attempted_at = :now, status = :status,
       took_ms = :took_ms, problem = NULL
 WHERE webhook_id = :webhook_id AND seq = :seq
"""
AGAIN = """
UPDATE deliveries
   SET state = 'waiting', next_attempt_at = :next_attempt_at, lease_ends_at = NULL, attempted_at = :now,
       status = :status, took_ms = :took_ms, problem = :problem,
       first_failed_at = coalesce(first_failed_at, :now)
 WHERE webhook_id = :webhook_id AND seq = :seq
"""
FAILED = """
UPDATE deliveries
   SET state = 'failed', next_attempt_at = NULL, lease_ends_at = NULL, attempted_at = :now, status = :status,
       took_ms = :took_ms, problem = :problem
 WHERE webhook_id = :webhook_id AND seq = :seq
"""
AFRESH = """
UPDATE deliveries SET state = 'waiting', next_attempt_at = :now, attempts = 0, first_failed_at = NULL
 WHERE webhook_id = :webhook_id AND seq = :seq
"""
HASTEN = """
UPDATE deliveries SET next_attempt_at = :now
 WHERE webhook_id = :webhook_id AND state = 'waiting' AND next_attempt_at > :now
"""
RELEASE = "UPDATE deliveries SET lease_ends_at = NULL WHERE lease_ends_at IS NOT NULL"
WAITING = """
SELECT count(*) AS count, min(created_at) AS oldest_at FROM deliveries
 WHERE webhook_id = :webhook_id AND state = 'waiting'
"""
FORGET = """
DELETE FROM deliveries WHERE account_id = :account_id AND state <> 'waiting' AND attempted_at < :before
"""


def insert(tx: Transaction, webhook_id: str, due: Iterable[Event], *, now: datetime) -> None:
    """These events are to be delivered. What is known already stays as it is."""
    for event in due:
        tx.execute(
            INSERT,
            {
                "webhook_id": webhook_id,
                "seq": event.seq,
                "account_id": event.account_id,
                "in_order_of": event.thread_id or "",
                "now": now,
            },
        )


def get(tx: Transaction, webhook_id: str, seq: int) -> Delivery:
    """Raises `NotFound`."""
    row = tx.execute(GET, {"webhook_id": webhook_id, "seq": seq}).fetchone()
    if row is None:
        raise NotFound("This event was not delivered to this webhook.")
    return Delivery.from_row(row)


def newest(tx: Transaction, webhook_id: str, *, before: int, state: DeliveryState | None, limit: int) -> list[Delivery]:
    """The log of a webhook, newest event first, from behind `before`."""
    question = {"webhook_id": webhook_id, "before": before, "state": state, "limit": limit}
    return [Delivery.from_row(row) for row in tx.execute(NEWEST, question)]


def claim(tx: Transaction, webhook_id: str, *, now: datetime, lease_ends_at: datetime, limit: int) -> list[Delivery]:
    """Take what is due, so many at most be in hand at once. The attempt counts from here."""
    in_hand = tx.execute(IN_HAND, {"webhook_id": webhook_id, "now": now}).fetchone()["count"]
    if in_hand >= limit:
        return []
    question = {"webhook_id": webhook_id, "now": now, "lease_ends_at": lease_ends_at, "limit": limit - in_hand}
    taken = sorted(row["seq"] for row in tx.execute(CLAIM, question).fetchall())
    return [get(tx, webhook_id, seq) for seq in taken]


def has_due(tx: Transaction, webhook_id: str, *, now: datetime) -> bool:
    """Whether anything waits whose time has come, in hand or not."""
    return bool(tx.execute(HAS_DUE, {"webhook_id": webhook_id, "now": now}).fetchone()["due"])


def delivered(tx: Transaction, delivery: Delivery, attempt: Attempt) -> None:
    """The receiver has it."""
    tx.execute(DELIVERED, _seen(delivery, attempt))


def again(tx: Transaction, delivery: Delivery, attempt: Attempt, *, next_attempt_at: datetime) -> None:
    """The receiver has it not; it will be asked again."""
    tx.execute(AGAIN, _seen(delivery, attempt) | {"next_attempt_at": next_attempt_at})


def failed(tx: Transaction, delivery: Delivery, attempt: Attempt) -> None:
    """The receiver will not be asked again, unless a person says so."""
    tx.execute(FAILED, _seen(delivery, attempt))


def afresh(tx: Transaction, webhook_id: str, seq: int, *, now: datetime) -> None:
    """A person asks: deliver it, once more if need be. Raises `NotFound`. Announces `webhooks`."""
    get(tx, webhook_id, seq)
    tx.execute(AFRESH, {"webhook_id": webhook_id, "seq": seq, "now": now})
    tx.announce("webhooks")


def hasten(tx: Transaction, webhook_id: str, *, now: datetime) -> None:
    """The receiver is there again: nothing waits for its turn."""
    tx.execute(HASTEN, {"webhook_id": webhook_id, "now": now})


def release_all(tx: Transaction) -> None:
    """At start, when the file's lock proves that nobody else lives: nothing is in hand."""
    tx.execute(RELEASE)


def waiting(tx: Transaction, webhook_id: str) -> Waiting:
    """How far the receiver is behind."""
    row = tx.execute(WAITING, {"webhook_id": webhook_id}).fetchone()
    return Waiting(count=row["count"], oldest_at=moment_or_none(row["oldest_at"]))


def forget(tx: Transaction, account_id: str, *, before: datetime) -> int:
    """The log's old rows; how many. What waits stays."""
    return tx.execute(FORGET, {"account_id": account_id, "before": before}).rowcount


def _seen(delivery: Delivery, attempt: Attempt) -> dict[str, object]:
    return {
        "webhook_id": delivery.webhook_id,
        "seq": delivery.event.seq,
        "status": attempt.status,
        "took_ms": attempt.took_ms,
        "problem": attempt.problem,
        "now": attempt.at,
    }
