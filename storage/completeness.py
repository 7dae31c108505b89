"""What the checks of a mailbox against Microsoft 365 found, and what there is to check."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Self

from storage.database import Transaction, moment_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How the last whole check of a mailbox ended: of `compared` mails `missing` were not here.

    `complete_since` is the first of the checks since when none was missing. `problem`: why a later check broke off.
    """

    complete_since: datetime | None
    checked_at: datetime | None
    compared: int | None
    missing: int | None
    problem: str | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `completeness`."""
        return cls(
            complete_since=moment_or_none(row["complete_since"]),
            checked_at=moment_or_none(row["checked_at"]),
            compared=row["compared"],
            missing=row["missing"],
            problem=row["problem"],
        )


NEVER = Check(complete_since=None, checked_at=None, compared=None, missing=None, problem=None)

GET = "SELECT * FROM completeness WHERE mailbox_id = :mailbox_id"
CHECKED = """
INSERT INTO completeness (mailbox_id, account_id, complete_since, checked_at, compared, missing)
SELECT id, account_id, CASE WHEN :missing = 0 THEN :now END, :now, :compared, :missing
  FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id)
    DO UPDATE SET complete_since = CASE WHEN :missing = 0 THEN coalesce(complete_since, :now) END,
                  checked_at = :now, compared = :compared, missing = :missing, problem = NULL
"""
BROKE_OFF = """
INSERT INTO completeness (mailbox_id, account_id, problem)
SELECT id, account_id, :problem FROM mailboxes WHERE id = :mailbox_id
    ON CONFLICT (mailbox_id) DO UPDATE SET problem = :problem
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


def checked(tx: Transaction, mailbox_id: str, *, compared: int, missing: int, now: datetime) -> None:
    """A check went through."""
    tx.execute(CHECKED, {"mailbox_id": mailbox_id, "compared": compared, "missing": missing, "now": now})


def broke_off(tx: Transaction, mailbox_id: str, problem: str) -> None:
    """A check did not go through: what the last one found stands. `problem` is for people."""
    tx.execute(BROKE_OFF, {"mailbox_id": mailbox_id, "problem": problem})


def active_conversations(
    tx: Transaction, mailbox_id: str, *, since: datetime, after: str = "", limit: int
) -> list[str]:
    """Graph's ids of a mailbox's conversations in threads with mail since `since`, in order, from behind `after`."""
    question = {"mailbox_id": mailbox_id, "since": since, "after": after, "limit": limit}
    return [row["conversation_id"] for row in tx.execute(ACTIVE_CONVERSATIONS, question)]
