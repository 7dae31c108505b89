"""Rules of how long what is kept, and which threads are older than that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from storage.transaction import Transaction, moment

THREADS: Final = "threads"
AUDIT: Final = "audit"
DAY_US: Final = 86_400_000_000

RULES: Final = "SELECT what, days FROM retention_rules WHERE account_id = :account_id ORDER BY what"
CLEAR: Final = "DELETE FROM retention_rules WHERE account_id = :account_id"
SET: Final = "INSERT INTO retention_rules (account_id, what, days) VALUES (:account_id, :what, :days)"
# The longest rule of its records' types counts, and where they have none, the rule for all threads.
_DAYS: Final = """
coalesce((SELECT max(days) FROM retention_rules JOIN thread_objects ON thread_objects.type = retention_rules.what
           WHERE retention_rules.account_id = :account_id AND thread_objects.thread_id = threads.id),
         (SELECT days FROM retention_rules WHERE account_id = :account_id AND what = 'threads'))
"""
# What is on its way, or waits for a person, is waited for.
_IS_AT_REST: Final = """
NOT EXISTS (SELECT 1 FROM messages JOIN outbox ON outbox.message_id = messages.id
             WHERE messages.thread_id = threads.id
               AND (outbox.next_attempt_at IS NOT NULL OR outbox.state = 'needs_review'
                    OR outbox.tidy_at IS NOT NULL OR outbox.lease_owner IS NOT NULL))
"""
_IS_OLD: Final = f"""
 WHERE account_id = :account_id AND EXISTS (SELECT 1 FROM retention_rules WHERE account_id = :account_id)
   AND last_message_at < :now - (SELECT min(days) FROM retention_rules
                                  WHERE account_id = :account_id AND what <> 'audit') * {DAY_US}
   AND last_message_at < :now - {_DAYS} * {DAY_US}
   AND {_IS_AT_REST}
"""
OLD: Final = f"SELECT id FROM threads {_IS_OLD} ORDER BY last_message_at, id LIMIT :limit"
COUNT: Final = f"""
SELECT count(*) AS threads, sum(message_count) AS messages,
       min(last_message_at) AS oldest, max(last_message_at) AS newest
  FROM threads {_IS_OLD}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """How much is older than the rules allow; `oldest` and `newest` are when the last messages of the threads came."""

    threads: int
    messages: int
    oldest: datetime | None
    newest: datetime | None


def rules(tx: Transaction, account_id: str) -> dict[str, int]:
    """Days by what they are of: `threads`, `audit`, or a type of record. Nothing: kept for ever."""
    return {row["what"]: row["days"] for row in tx.execute(RULES, {"account_id": account_id})}


def set_rules(tx: Transaction, account_id: str, days: Mapping[str, int]) -> None:
    """These rules and no others."""
    tx.execute(CLEAR, {"account_id": account_id})
    for what, number in days.items():
        tx.execute(SET, {"account_id": account_id, "what": what, "days": number})


def old_threads(tx: Transaction, account_id: str, *, now: datetime, limit: int) -> Sequence[str]:
    """Which threads are to go, the oldest first."""
    question = {"account_id": account_id, "now": now, "limit": limit}
    return [row["id"] for row in tx.execute(OLD, question)]


def expired(tx: Transaction, account_id: str, *, now: datetime) -> Expired:
    """How much there is to go."""
    row = tx.execute(COUNT, {"account_id": account_id, "now": now}).fetchone()
    return Expired(
        threads=row["threads"],
        messages=row["messages"] or 0,
        oldest=None if row["oldest"] is None else moment(row["oldest"]),
        newest=None if row["newest"] is None else moment(row["newest"]),
    )
