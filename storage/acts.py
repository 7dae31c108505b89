"""Acts: what people decided about where a mail belongs. The last of a message's acts that is not undone counts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage.errors import NotFound
from storage.messages import Placement
from storage.transaction import Transaction, moment, moment_or_none


class ActKind(StrEnum):
    """ACCEPT and DISMISS a mail that is held; MOVE one that is placed, or UNLINK it from its thread."""

    ACCEPT = "accept"
    DISMISS = "dismiss"
    MOVE = "move"
    UNLINK = "unlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a mail stands."""

    thread_id: str
    placement: Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """From `before` to `after`, by a person. `asked` is what was asked for, as ids."""

    id: str
    account_id: str
    message_id: str
    kind: ActKind
    asked: dict[str, Any]
    before: Place
    after: Place
    done_by: str
    done_at: datetime
    undone_by: str | None = None
    undone_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `acts`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            message_id=row["message_id"],
            kind=ActKind(row["kind"]),
            asked=orjson.loads(row["asked"]),
            before=Place(thread_id=row["from_thread_id"], placement=Placement(row["from_placement"])),
            after=Place(thread_id=row["thread_id"], placement=Placement(row["placement"])),
            done_by=row["done_by"],
            done_at=moment(row["done_at"]),
            undone_by=row["undone_by"],
            undone_at=moment_or_none(row["undone_at"]),
        )


INSERT = """
INSERT INTO acts (id, account_id, message_id, kind, asked, from_thread_id, from_placement, thread_id, placement,
                  done_by, done_at)
VALUES (:id, :account_id, :message_id, :kind, :asked, :from_thread_id, :from_placement, :thread_id, :placement,
        :done_by, :done_at)
"""
GET = "SELECT * FROM acts WHERE account_id = :account_id AND id = :id"
LATEST = """
SELECT * FROM acts WHERE message_id = :message_id AND undone_at IS NULL ORDER BY seq DESC LIMIT 1
"""
OF_MESSAGE = "SELECT * FROM acts WHERE message_id = :message_id ORDER BY seq"
NEWEST = "SELECT * FROM acts WHERE account_id = :account_id ORDER BY seq DESC LIMIT :limit"
UNDO = "UPDATE acts SET undone_by = :by, undone_at = :now WHERE id = :id"


def insert(tx: Transaction, act: Act) -> None:
    """Write down what was decided."""
    tx.execute(
        INSERT,
        {
            "id": act.id,
            "account_id": act.account_id,
            "message_id": act.message_id,
            "kind": act.kind,
            "asked": orjson.dumps(act.asked).decode(),
            "from_thread_id": act.before.thread_id,
            "from_placement": act.before.placement,
            "thread_id": act.after.thread_id,
            "placement": act.after.placement,
            "done_by": act.done_by,
            "done_at": act.done_at,
        },
    )


def get(tx: Transaction, account_id: str, act_id: str) -> Act:
    """Raises `NotFound`, also for another account's."""
    row = tx.execute(GET, {"account_id": account_id, "id": act_id}).fetchone()
    if row is None:
        raise NotFound("There is no such act.")
    return Act.from_row(row)


def latest(tx: Transaction, message_id: str) -> Act | None:
    """The one that counts; None when nobody has decided about the message, or all is undone."""
    row = tx.execute(LATEST, {"message_id": message_id}).fetchone()
    return None if row is None else Act.from_row(row)


def of_message(tx: Transaction, message_id: str) -> list[Act]:
    """All, in order, undone ones too."""
    return [Act.from_row(row) for row in tx.execute(OF_MESSAGE, {"message_id": message_id})]


def newest(tx: Transaction, account_id: str, *, limit: int) -> list[Act]:
    """What was decided lately, newest first, undone acts too."""
    return [Act.from_row(row) for row in tx.execute(NEWEST, {"account_id": account_id, "limit": limit})]


def mark_undone(tx: Transaction, act_id: str, *, by: str, now: datetime) -> None:
    """It counts no more."""
    tx.execute(UNDO, {"id": act_id, "by": by, "now": now})
