"""Letters followed from here to their mailbox and back. What is late, and what follows, is `gateway.setup`'s."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Final, Self

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none


class State(StrEnum):
    """LATE: it came, but not in time. FAILED: a step was still missing when it was given up."""

    UNDER_WAY = "under_way"
    PASSED = "passed"
    LATE = "late"
    FAILED = "failed"


class Kind(StrEnum):
    """Who wanted it: a person, or the gateway, once a day."""

    ASKED = "asked"
    DAILY = "daily"


STEPS: Final = ("accepted", "drafted", "submitted", "sent", "notified", "pulled", "threaded")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """One letter. `recipient` is None when the mailbox writes to itself. `is_live`: a notification is expected.

    `graph_id` is that of what came back. `missed` is the first step that was missing at `late_at`. Until `clean_at` is
    None, there may be something of it in the mailbox that is to be deleted.
    """

    id: str
    account_id: str
    mailbox_id: str
    message_id: str
    thread_id: str
    kind: Kind
    recipient: str | None
    is_live: bool
    state: State
    late_at: datetime
    ends_at: datetime
    accepted_at: datetime
    drafted_at: datetime | None = None
    submitted_at: datetime | None = None
    sent_at: datetime | None = None
    notified_at: datetime | None = None
    pulled_at: datetime | None = None
    threaded_at: datetime | None = None
    graph_id: str | None = None
    missed: str | None = None
    ended_at: datetime | None = None
    clean_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `round_trips`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            message_id=row["message_id"],
            thread_id=row["thread_id"],
            kind=Kind(row["kind"]),
            recipient=row["recipient"],
            is_live=bool(row["is_live"]),
            state=State(row["state"]),
            late_at=moment(row["late_at"]),
            ends_at=moment(row["ends_at"]),
            accepted_at=moment(row["accepted_at"]),
            drafted_at=moment_or_none(row["drafted_at"]),
            submitted_at=moment_or_none(row["submitted_at"]),
            sent_at=moment_or_none(row["sent_at"]),
            notified_at=moment_or_none(row["notified_at"]),
            pulled_at=moment_or_none(row["pulled_at"]),
            threaded_at=moment_or_none(row["threaded_at"]),
            graph_id=row["graph_id"],
            missed=row["missed"],
            ended_at=moment_or_none(row["ended_at"]),
            clean_at=moment_or_none(row["clean_at"]),
        )

    def at(self, step: str) -> datetime | None:
        """When it came by there."""
        reached: datetime | None = getattr(self, f"{step}_at")
        return reached

    @property
    def steps(self) -> Sequence[str]:
        """The steps that it is to take, in their order."""
        return [step for step in STEPS if step != "notified" or self.is_live]


INSERT = """
INSERT INTO round_trips (id, account_id, mailbox_id, message_id, thread_id, kind, recipient, is_live, state, late_at,
                         ends_at, accepted_at)
VALUES (:id, :account_id, :mailbox_id, :message_id,
        (SELECT thread_id FROM messages WHERE id = :message_id), :kind, :recipient, :is_live, 'under_way', :late_at,
        :ends_at, :now)
"""
GET = "SELECT * FROM round_trips WHERE id = :id"
NEWEST = """
SELECT * FROM round_trips WHERE mailbox_id = :mailbox_id ORDER BY accepted_at DESC, id DESC LIMIT :limit
"""
SINCE = """
SELECT * FROM round_trips
 WHERE mailbox_id = :mailbox_id AND accepted_at >= :since AND recipient IS NULL ORDER BY accepted_at, id
"""
LAST_ENDED = """
SELECT * FROM round_trips
 WHERE mailbox_id = :mailbox_id AND recipient IS NULL AND (state <> 'under_way' OR missed IS NOT NULL)
 ORDER BY accepted_at DESC, id DESC LIMIT 1
"""
UNDER_WAY = "SELECT * FROM round_trips WHERE state = 'under_way' ORDER BY id LIMIT :limit"
TO_CLEAN = "SELECT * FROM round_trips WHERE clean_at <= :now ORDER BY clean_at LIMIT :limit"
EXPECTED = "SELECT thread_id FROM round_trips INDEXED BY round_trips_expected WHERE pulled_at IS NULL"
ARRIVED = """
UPDATE round_trips SET pulled_at = :now, threaded_at = :now, graph_id = :graph_id
 WHERE thread_id = :thread_id AND pulled_at IS NULL
"""
SAVE = """
UPDATE round_trips
   SET state = :state, drafted_at = :drafted_at, submitted_at = :submitted_at, sent_at = :sent_at,
       notified_at = :notified_at, missed = :missed, ended_at = :ended_at, clean_at = :clean_at
 WHERE id = :id
"""
CLEAN_AT = "UPDATE round_trips SET clean_at = :at WHERE id = :id"
PRUNE = "DELETE FROM round_trips WHERE account_id = :account_id AND clean_at IS NULL AND ended_at < :before"


def insert(
    tx: Transaction,
    *,
    account_id: str,
    mailbox_id: str,
    message_id: str,
    kind: Kind,
    recipient: str | None,
    is_live: bool,
    late_at: datetime,
    ends_at: datetime,
    now: datetime,
) -> RoundTrip:
    """Begin to follow a letter. Announces `round_trips`."""
    values = {
        "id": new_id("rtp", now),
        "account_id": account_id,
        "mailbox_id": mailbox_id,
        "message_id": message_id,
        "kind": kind,
        "recipient": recipient,
        "is_live": is_live,
        "late_at": late_at,
        "ends_at": ends_at,
        "now": now,
    }
    tx.execute(INSERT, values)
    tx.announce("round_trips")
    return get(tx, str(values["id"]))


def get(tx: Transaction, trip_id: str) -> RoundTrip:
    """By our own id, for work that knows whose it is. Raises `NotFound`."""
    row = tx.execute(GET, {"id": trip_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no round trip {trip_id}.")
    return RoundTrip.from_row(row)


def newest(tx: Transaction, mailbox_id: str, *, limit: int = 1) -> list[RoundTrip]:
    """Of a mailbox, the newest first."""
    return [RoundTrip.from_row(row) for row in tx.execute(NEWEST, {"mailbox_id": mailbox_id, "limit": limit})]


def since(tx: Transaction, mailbox_id: str, since: datetime) -> list[RoundTrip]:
    """Of a mailbox to itself, the oldest first."""
    return [RoundTrip.from_row(row) for row in tx.execute(SINCE, {"mailbox_id": mailbox_id, "since": since})]


def last_verdict(tx: Transaction, mailbox_id: str) -> RoundTrip | None:
    """The newest of a mailbox to itself of which something can be said: it ended, or is late."""
    row = tx.execute(LAST_ENDED, {"mailbox_id": mailbox_id}).fetchone()
    return None if row is None else RoundTrip.from_row(row)


def under_way(tx: Transaction, *, limit: int = 1000) -> list[RoundTrip]:
    """All that are being followed."""
    return [RoundTrip.from_row(row) for row in tx.execute(UNDER_WAY, {"limit": limit})]


def to_clean(tx: Transaction, now: datetime, *, limit: int) -> list[RoundTrip]:
    """Those of which something is to be deleted from the mailbox now."""
    return [RoundTrip.from_row(row) for row in tx.execute(TO_CLEAN, {"now": now, "limit": limit})]


def expected(tx: Transaction) -> frozenset[str]:
    """The threads of all round trips that have not come back. Few: one that stays away is given up and forgotten."""
    return frozenset(row["thread_id"] for row in tx.execute(EXPECTED))


def arrived(tx: Transaction, thread_id: str, *, graph_id: str, now: datetime) -> None:
    """Mail was pulled into this thread: if a round trip waits for it, it is back. Announces `round_trips` then."""
    values = {"thread_id": thread_id, "graph_id": graph_id, "now": now}
    if tx.execute(ARRIVED, values).rowcount:
        tx.announce("round_trips")


def save(tx: Transaction, trip: RoundTrip) -> None:
    """Keep how far it is, but for its return, which `arrived` keeps."""
    tx.execute(
        SAVE,
        {
            "id": trip.id,
            "state": trip.state,
            "drafted_at": trip.drafted_at,
            "submitted_at": trip.submitted_at,
            "sent_at": trip.sent_at,
            "notified_at": trip.notified_at,
            "missed": trip.missed,
            "ended_at": trip.ended_at,
            "clean_at": trip.clean_at,
        },
    )


def clean_at(tx: Transaction, trip_id: str, at: datetime | None) -> None:
    """When to look into the mailbox again; None: nothing of it is there any more."""
    tx.execute(CLEAN_AT, {"id": trip_id, "at": at})


def prune(tx: Transaction, account_id: str, before: datetime) -> None:
    """Forget those that ended before that time."""
    tx.execute(PRUNE, {"account_id": account_id, "before": before})
