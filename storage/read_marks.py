"""Read marks: how far each member of staff has read each thread, as a place in the event log.

The log's order is the order of storing, so mail that came late, or that a person accepted late, is new however old it
is. Readers are told apart by name, without regard to case, spaces and how accents are composed.
"""

import unicodedata
from datetime import datetime

from storage import events
from storage.errors import Conflict
from storage.transaction import Transaction

# The condition is word for word that of the index `events_arrivals`.
ARRIVED = "events.type IN ('reply.received', 'reply.automatic', 'thread.updated') AND events.message_id IS NOT NULL"
SHOWN = """
EXISTS (SELECT 1 FROM messages
         WHERE messages.id = events.message_id AND messages.thread_id = events.thread_id
           AND messages.direction = 'in' AND messages.placement = 'placed')
"""
UNSEEN = f"""
SELECT events.message_id, max(events.seq) AS seq
  FROM events
 WHERE events.thread_id = :thread_id AND events.seq > :seq AND {ARRIVED} AND {SHOWN}
 GROUP BY events.message_id
"""
MARK = "SELECT seq, by_hand FROM read_marks WHERE thread_id = :thread_id AND reader = :reader"
PUT = """
INSERT INTO read_marks (thread_id, reader, account_id, seq, by_hand, marked_at)
VALUES (:thread_id, :reader, :account_id, :seq, :by_hand, :now)
    ON CONFLICT (thread_id, reader) DO UPDATE
       SET seq = excluded.seq, by_hand = excluded.by_hand, marked_at = excluded.marked_at
"""


def reader_of(name: str) -> str:
    """What tells readers apart."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def unseen(tx: Transaction, thread_id: str, reader: str) -> frozenset[str]:
    """The messages of a thread that came in and that this reader has not seen."""
    seq, _ = _mark(tx, thread_id, reader)
    return frozenset(row["message_id"] for row in tx.execute(UNSEEN, {"thread_id": thread_id, "seq": seq}))


def is_kept_unread(tx: Transaction, thread_id: str, reader: str) -> bool:
    """Whether this reader has put the thread aside, to be opened again only by themselves."""
    return _mark(tx, thread_id, reader)[1]


def mark_read(
    tx: Transaction, account_id: str, thread_id: str, reader: str, *, up_to: int | None = None, now: datetime
) -> None:
    """This reader has seen what the log told of the thread up to there; without `up_to`, all of it.

    A mark never goes back by reading: an older page says nothing about what was seen since.
    """
    end = events.last_seq(tx, account_id)
    seq = max(_mark(tx, thread_id, reader)[0], end if up_to is None else min(up_to, end))
    _put(tx, account_id, thread_id, reader, seq=seq, by_hand=False, now=now)


def mark_unread(tx: Transaction, account_id: str, thread_id: str, reader: str, *, now: datetime) -> None:
    """The last message that came in is new to this reader again. Raises `Conflict` when none did."""
    arrivals = [row["seq"] for row in tx.execute(UNSEEN, {"thread_id": thread_id, "seq": 0})]
    if not arrivals:
        raise Conflict("Nothing has come in here, so nothing can be unread.")
    seq = min(_mark(tx, thread_id, reader)[0], max(arrivals) - 1)
    _put(tx, account_id, thread_id, reader, seq=seq, by_hand=True, now=now)


def _mark(tx: Transaction, thread_id: str, reader: str) -> tuple[int, bool]:
    row = tx.execute(MARK, {"thread_id": thread_id, "reader": reader_of(reader)}).fetchone()
    return (0, False) if row is None else (int(row["seq"]), bool(row["by_hand"]))


def _put(
    tx: Transaction, account_id: str, thread_id: str, reader: str, *, seq: int, by_hand: bool, now: datetime
) -> None:
    tx.execute(
        PUT,
        {
            "thread_id": thread_id,
            "reader": reader_of(reader),
            "account_id": account_id,
            "seq": seq,
            "by_hand": by_hand,
            "now": now,
        },
    )
