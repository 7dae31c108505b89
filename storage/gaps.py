"""Gaps: when delivery to a folder was uncertain, and why. One is closed only by a delta round that began after it.

A folder has at most one gap of a reason that is not closed: what begins again before that is still the same gap.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from sqlite3 import Row
from typing import Self

from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none


class Reason(StrEnum):
    """Why mail may have come without our hearing of it."""

    NO_SUBSCRIPTION = "no_subscription"
    NOTIFICATIONS_MISSED = "notifications_missed"
    SUBSCRIPTION_REMOVED = "subscription_removed"
    DELTA_LOST = "delta_lost"
    PULL_FAILING = "pull_failing"
    GATEWAY_DOWN = "gateway_down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """`unannounced` is how many mails the folder's delta brought meanwhile that no notification had announced."""

    id: str
    account_id: str
    mailbox_id: str
    folder_id: str
    reason: Reason
    began_at: datetime
    ended_at: datetime | None
    closed_at: datetime | None
    unannounced: int

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `gaps`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            folder_id=row["folder_id"],
            reason=Reason(row["reason"]),
            began_at=moment(row["began_at"]),
            ended_at=moment_or_none(row["ended_at"]),
            closed_at=moment_or_none(row["closed_at"]),
            unannounced=row["unannounced"],
        )

    @property
    def lasted(self) -> timedelta | None:
        """How long; None while it lasts."""
        return None if self.ended_at is None else self.ended_at - self.began_at


BEGIN = """
INSERT INTO gaps (id, account_id, mailbox_id, folder_id, reason, began_at)
SELECT :id, account_id, mailbox_id, id, :reason, :at FROM folders WHERE id = :folder_id
    ON CONFLICT (folder_id, reason) WHERE closed_at IS NULL
    DO UPDATE SET began_at = min(began_at, :at), ended_at = NULL
"""
END = """
UPDATE gaps SET ended_at = max(began_at, :at)
 WHERE folder_id = :folder_id AND reason = :reason AND closed_at IS NULL AND ended_at IS NULL
"""
COUNT = "UPDATE gaps SET unannounced = unannounced + :count WHERE folder_id = :folder_id AND closed_at IS NULL"
CLOSE = """
UPDATE gaps SET closed_at = :now
 WHERE folder_id = :folder_id AND closed_at IS NULL AND ended_at <= :round_began_at
RETURNING *
"""
NOT_CLOSED = "SELECT * FROM gaps WHERE folder_id = :folder_id AND closed_at IS NULL ORDER BY began_at, id"
PRUNE = "DELETE FROM gaps WHERE account_id = :account_id AND closed_at < :before"


def begin(tx: Transaction, folder_id: str, reason: Reason, at: datetime) -> None:
    """From `at` on delivery to this folder is uncertain, if it is not so already."""
    tx.execute(BEGIN, {"id": new_id("gap", at), "folder_id": folder_id, "reason": reason, "at": at})


def end(tx: Transaction, folder_id: str, *reasons: Reason, at: datetime) -> None:
    """These troubles are over, if they lasted. What they may have cost is not known before a pull."""
    for reason in reasons:
        tx.execute(END, {"folder_id": folder_id, "reason": reason, "at": at})


def note(tx: Transaction, folder_id: str, reason: Reason, *, began_at: datetime, ended_at: datetime) -> None:
    """A gap that is over by the time it is known."""
    begin(tx, folder_id, reason, began_at)
    end(tx, folder_id, reason, at=ended_at)


def count_unannounced(tx: Transaction, folder_id: str, count: int) -> None:
    """Mail was found that no notification had announced: every gap that is not closed may be why."""
    tx.execute(COUNT, {"folder_id": folder_id, "count": count})


def close(tx: Transaction, folder_id: str, *, round_began_at: datetime, now: datetime) -> list[Gap]:
    """A delta round went through: close what had ended when it began, and return that, oldest first.

    Belongs in the transaction that stores the round's last page.
    """
    question = {"folder_id": folder_id, "round_began_at": round_began_at, "now": now}
    closed = [Gap.from_row(row) for row in tx.execute(CLOSE, question).fetchall()]
    return sorted(closed, key=lambda gap: (gap.began_at, gap.id))


def not_closed(tx: Transaction, folder_ids: Iterable[str]) -> list[Gap]:
    """Those of these folders that no delta has passed yet, folder by folder, oldest first."""
    return [
        Gap.from_row(row)
        for folder_id in folder_ids
        for row in tx.execute(NOT_CLOSED, {"folder_id": folder_id}).fetchall()
    ]


def prune(tx: Transaction, account_id: str, before: datetime) -> int:
    """Forget an account's gaps that were closed before `before`; how many."""
    return tx.execute(PRUNE, {"account_id": account_id, "before": before}).rowcount
