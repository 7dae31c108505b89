"""What the checks of a mailbox against Microsoft 365 found, and what there is to check."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Self

import orjson

from storage.transaction import Transaction, moment, moment_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How the last whole check of a mailbox ended: of `compared` mails `missing` were not here.

    `complete_since` is the first of the checks since when none was missing. `problem`: why a later check broke off.
    Of a check that is under way, `conversations_done` of `conversations` have been asked for; else both are None.
    """

    complete_since: datetime | None
    checked_at: datetime | None
    compared: int | None
    missing: int | None
    problem: str | None
    conversations_done: int | None = None
    conversations: int | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `completeness`."""
        return cls(
            complete_since=moment_or_none(row["complete_since"]),
            checked_at=moment_or_none(row["checked_at"]),
            compared=row["compared"],
            missing=row["missing"],
            problem=row["problem"],
            conversations_done=row["conversations_done"],
            conversations=row["conversations"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMissing:
    """A mail that a check did not find here. `folder_id` is the watched folder's own id here."""

    graph_id: str
    folder_id: str
    came_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The same as it is kept: `missing_since` is the first check that did not find it."""

    graph_id: str
    folder_id: str
    came_at: datetime | None
    missing_since: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `missing_mail`."""
        return cls(
            graph_id=row["graph_id"],
            folder_id=row["folder_id"],
            came_at=moment_or_none(row["came_at"]),
            missing_since=moment(row["missing_since"]),
        )


NEVER = Check(complete_since=None, checked_at=None, compared=None, missing=None, problem=None)

GET = "SELECT * FROM completeness WHERE mailbox_id = :mailbox_id"
CHECKED = """
INSERT INTO completeness (mailbox_id, account_id, complete_since, checked_at, compared, missing)
SELECT id, account_id, CASE WHEN :missing = 0 THEN :now END, :now, :compared, :missing
  FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id)
    DO UPDATE SET complete_since = CASE WHEN :missing = 0 THEN coalesce(complete_since, :now) END,
                  checked_at = :now, compared = :compared, missing = :missing, problem = NULL,
                  conversations_done = NULL, conversations = NULL
"""
BROKE_OFF = """
INSERT INTO completeness (mailbox_id, account_id, problem)
SELECT id, account_id, :problem FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id)
    DO UPDATE SET problem = :problem, conversations_done = NULL, conversations = NULL
"""
UNDER_WAY = """
INSERT INTO completeness (mailbox_id, account_id, conversations_done, conversations)
SELECT id, account_id, :done, :conversations FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id) DO UPDATE SET conversations_done = :done, conversations = :conversations
"""
FOUND_AGAIN = """
DELETE FROM missing_mail
 WHERE mailbox_id = :mailbox_id AND graph_id NOT IN (SELECT value FROM json_each(:still_missing))
"""
MISSED = """
INSERT INTO missing_mail (mailbox_id, graph_id, account_id, folder_id, came_at, missing_since)
SELECT id, :graph_id, account_id, :folder_id, :came_at, :now FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id, graph_id) DO UPDATE SET folder_id = excluded.folder_id
"""
NOT_HERE = """
SELECT missing_mail.* FROM missing_mail
 WHERE missing_mail.mailbox_id = :mailbox_id
   AND NOT EXISTS (SELECT 1 FROM messages
                    WHERE messages.mailbox_id = missing_mail.mailbox_id AND messages.graph_id = missing_mail.graph_id)
 ORDER BY missing_mail.missing_since, missing_mail.graph_id LIMIT :limit
"""
COUNT_ACTIVE = """
SELECT count(*) AS conversations FROM conversations JOIN threads ON threads.id = conversations.thread_id
 WHERE conversations.mailbox_id = :mailbox_id AND threads.last_message_at >= :since
"""
ACTIVE_CONVERSATIONS = """
SELECT conversations.conversation_id FROM conversations JOIN threads ON threads.id = conversations.thread_id
 WHERE conversations.mailbox_id = :mailbox_id AND conversations.conversation_id > :after
   AND threads.last_message_at >= :since
 ORDER BY conversations.conversation_id LIMIT :limit
"""


def of_mailbox(tx: Transaction, mailbox_id: str) -> Check:
    """How the last check ended; `NEVER` before the first."""
    row = tx.execute(GET, {"mailbox_id": mailbox_id}).fetchone()
    return NEVER if row is None else Check.from_row(row)


def checked(
    tx: Transaction, mailbox_id: str, *, compared: int, missing: int, now: datetime, which: Sequence[NewMissing] = ()
) -> None:
    """A check went through. `which` are the missing ones, or the first of very many."""
    tx.execute(CHECKED, {"mailbox_id": mailbox_id, "compared": compared, "missing": missing, "now": now})
    still_missing = orjson.dumps([one.graph_id for one in which]).decode()
    tx.execute(FOUND_AGAIN, {"mailbox_id": mailbox_id, "still_missing": still_missing})
    for one in which:
        mail = {"graph_id": one.graph_id, "folder_id": one.folder_id, "came_at": one.came_at}
        tx.execute(MISSED, {"mailbox_id": mailbox_id, **mail, "now": now})


def missing(tx: Transaction, mailbox_id: str, *, limit: int) -> list[Missing]:
    """Which mails the last check did not find, and that have not come since; those missed for longest first."""
    return [Missing.from_row(row) for row in tx.execute(NOT_HERE, {"mailbox_id": mailbox_id, "limit": limit})]


def under_way(tx: Transaction, mailbox_id: str, *, done: int, conversations: int) -> None:
    """A check has come so far."""
    tx.execute(UNDER_WAY, {"mailbox_id": mailbox_id, "done": done, "conversations": conversations})


def broke_off(tx: Transaction, mailbox_id: str, problem: str) -> None:
    """A check did not go through: what the last one found stands. `problem` is for people."""
    tx.execute(BROKE_OFF, {"mailbox_id": mailbox_id, "problem": problem})


def count_active(tx: Transaction, mailbox_id: str, *, since: datetime) -> int:
    """How many `active_conversations` there are in all."""
    row = tx.execute(COUNT_ACTIVE, {"mailbox_id": mailbox_id, "since": since}).fetchone()
    return int(row["conversations"])


def active_conversations(
    tx: Transaction, mailbox_id: str, *, since: datetime, after: str = "", limit: int
) -> list[str]:
    """Graph's ids of a mailbox's conversations in threads with mail since `since`, in order, from behind `after`."""
    question = {"mailbox_id": mailbox_id, "since": since, "after": after, "limit": limit}
    return [row["conversation_id"] for row in tx.execute(ACTIVE_CONVERSATIONS, question)]
