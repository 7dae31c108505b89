"""What went through lately and what waits: the questions of those who watch over a gateway, and what they set going.

Each answer costs little however much is stored: the beginning of a time is found by halving, not by searching, and
nothing is counted beyond MOST_COUNTED.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from storage.folders import pull_soon
from storage.ids import before_ids
from storage.transaction import Transaction, moment, moment_or_none

MOST_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """How often each type of event came within the last hour and the last day; `is_whole` unless it was too many."""

    hour: Mapping[str, int]
    day: Mapping[str, int]
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How many wait, at most MOST_COUNTED, and since when the oldest of them does."""

    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHints:
    """The open hints of a folder. `stubborn` are those that were looked into and are older than was asked."""

    waiting: Queue
    stubborn: int


RANGE = """
SELECT coalesce((SELECT min(seq) FROM events), 1) AS first, coalesce((SELECT max(seq) FROM events), 0) AS last
"""
AT = "SELECT seq, created_at FROM events WHERE seq >= :seq ORDER BY seq LIMIT 1"
HAPPENED = """
SELECT type, count(*) AS day, total(created_at >= :hour) AS hour
  FROM (SELECT type, created_at FROM events
         WHERE account_id = :account_id AND seq >= :first ORDER BY seq DESC LIMIT :most)
 GROUP BY type
"""
OPEN_HINTS = """
SELECT count(*) AS count, min(received_at) AS oldest_at,
       coalesce(sum(attempts > 0 AND received_at < :before), 0) AS stubborn
  FROM (SELECT received_at, attempts FROM hints WHERE folder_id = :folder_id AND closed_at IS NULL LIMIT :most)
"""
LOOK_AGAIN = """
UPDATE hints SET retry_at = :now
 WHERE folder_id = :folder_id AND closed_at IS NULL AND attempts > 0 AND retry_at > :now
"""
HELD_MAIL = """
SELECT count(*) AS count, min(message_at) AS oldest_at
  FROM (SELECT message_at FROM messages INDEXED BY messages_held
         WHERE account_id = :account_id AND placement = 'held' ORDER BY message_at LIMIT :most)
"""
WAITING = """
SELECT count(*) AS count, min(created_at) AS oldest_at
  FROM (SELECT created_at FROM outbox
         WHERE account_id = :account_id AND state IN (SELECT value FROM json_each(:states))
           AND (send_at IS NULL OR send_at <= :now) LIMIT :most)
"""
ENDED_SO = """
SELECT count(*) AS count
  FROM (SELECT 1 FROM outbox
         WHERE account_id = :account_id AND state = :state AND message_id > :after LIMIT :most)
"""
# What is put off for a reason that a person may have mended meanwhile; never what is in hand, or was to leave later.
HASTEN = """
UPDATE outbox SET next_attempt_at = :now
 WHERE mailbox_id = :mailbox_id AND next_attempt_at > :now AND lease_owner IS NULL
   AND state IN (SELECT value FROM json_each(:states)) AND (send_at IS NULL OR send_at <= :now)
   AND problem IS NOT NULL AND json_extract(problem, '$.code') NOT IN (SELECT value FROM json_each(:but))
"""
RESUME_MAILBOX = "UPDATE mailboxes SET paused_until = NULL WHERE id = :id"
REFUSED = """
SELECT seq FROM (SELECT seq, state, attempted_at FROM deliveries
                  WHERE webhook_id = :webhook_id ORDER BY seq DESC LIMIT :newest)
 WHERE state = 'failed' AND attempted_at >= :since ORDER BY seq
"""
NEWEST_LOOKED_AT: Final = 1000  # deliveries of a webhook


def happened(tx: Transaction, account_id: str, *, hour: datetime, day: datetime) -> Happened:
    """What was recorded since `day`, and of that since `hour`."""
    asked = {"account_id": account_id, "first": _first_since(tx, day), "hour": hour, "most": MOST_COUNTED}
    rows = tx.execute(HAPPENED, asked).fetchall()
    return Happened(
        hour={row["type"]: int(row["hour"]) for row in rows if row["hour"]},
        day={row["type"]: row["day"] for row in rows},
        is_whole=sum(row["day"] for row in rows) < MOST_COUNTED,
    )


def _first_since(tx: Transaction, since: datetime) -> int:
    """The number of the first event, of any account, since that time. Times grow with the numbers."""
    row = tx.execute(RANGE).fetchone()
    low, high = row["first"], row["last"] + 1
    while low < high:
        middle = (low + high) // 2
        found = tx.execute(AT, {"seq": middle}).fetchone()
        if moment(found["created_at"]) >= since:
            high = middle
        else:
            low = found["seq"] + 1
    return int(low)


def open_hints(tx: Transaction, folder_id: str, *, stubborn_before: datetime) -> OpenHints:
    """What Graph told of this folder, or we noted ourselves, that has not come to its end."""
    row = tx.execute(OPEN_HINTS, {"folder_id": folder_id, "before": stubborn_before, "most": MOST_COUNTED}).fetchone()
    waiting = Queue(count=row["count"], oldest_at=moment_or_none(row["oldest_at"]))
    return OpenHints(waiting=waiting, stubborn=row["stubborn"])


def look_again(tx: Transaction, folder_id: str, *, now: datetime) -> int:
    """Do not wait any longer with what could not be taken in before; of how many. Announces `folders`."""
    hastened = tx.execute(LOOK_AGAIN, {"folder_id": folder_id, "now": now}).rowcount
    pull_soon(tx, folder_id, now)
    return hastened


def held_mail(tx: Transaction, account_id: str) -> Queue:
    """The mail that waits for a person's decision, by when it came."""
    return _queue(tx, HELD_MAIL, {"account_id": account_id, "most": MOST_COUNTED})


def waiting_letters(tx: Transaction, account_id: str, states: Collection[str], *, now: datetime) -> Queue:
    """The letters in these states that may leave now, by when they were posted."""
    asked = {"account_id": account_id, "states": _json(states), "now": now, "most": MOST_COUNTED}
    return _queue(tx, WAITING, asked)


def ended_so(tx: Transaction, account_id: str, state: str, *, posted_since: datetime) -> int:
    """How many of the letters posted since then stand in this state."""
    after = before_ids("msg", posted_since)
    asked = {"account_id": account_id, "state": state, "after": after, "most": MOST_COUNTED}
    return int(tx.execute(ENDED_SO, asked).fetchone()["count"])


def hasten(tx: Transaction, mailbox_id: str, states: Collection[str], *, but: Collection[str], now: datetime) -> int:
    """Try now what waits after a failure, except for the reasons `but`; how many letters. Announces `outbox`."""
    asked = {"mailbox_id": mailbox_id, "states": _json(states), "but": _json(but), "now": now}
    hastened = tx.execute(HASTEN, asked).rowcount
    tx.announce("outbox")
    return hastened


def resume_mailbox(tx: Transaction, mailbox_id: str) -> None:
    """A person says that what paused it is mended. Announces `outbox`."""
    tx.execute(RESUME_MAILBOX, {"id": mailbox_id})
    tx.announce("outbox")


def refused_events(tx: Transaction, webhook_id: str, *, since: datetime) -> list[int]:
    """Those of the newest events that this webhook would not take, the last time since then; oldest first."""
    asked = {"webhook_id": webhook_id, "newest": NEWEST_LOOKED_AT, "since": since}
    return [row["seq"] for row in tx.execute(REFUSED, asked)]


def _queue(tx: Transaction, statement: str, asked: Mapping[str, object]) -> Queue:
    row = tx.execute(statement, asked).fetchone()
    return Queue(count=row["count"], oldest_at=moment_or_none(row["oldest_at"]))


def _json(values: Collection[str]) -> str:
    return orjson.dumps(sorted(values)).decode()
