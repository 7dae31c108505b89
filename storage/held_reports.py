"""Reports of mail systems that wait, or waited, for a person; and which letter each turned when it was accepted."""

from dataclasses import dataclass
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """How a letter stood."""

    state: str
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A letter that a report turned, how it stood before that, and since."""

    letter_id: str
    before: Stood
    after: Stood


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReport:
    """What the report says is the caller's to read."""

    message_id: str
    report: str
    turned: Turned | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `held_reports`."""
        turned = None
        if row["letter_id"] is not None:
            turned = Turned(
                letter_id=row["letter_id"],
                before=Stood(**orjson.loads(row["before"])),
                after=Stood(**orjson.loads(row["after"])),
            )
        return cls(message_id=row["message_id"], report=row["report"], turned=turned)


INSERT = "INSERT INTO held_reports (message_id, account_id, report) VALUES (:message_id, :account_id, :report)"
FIND = "SELECT * FROM held_reports WHERE message_id = :message_id"
TURNED = """
UPDATE held_reports SET letter_id = :letter_id, before = :before, after = :after WHERE message_id = :message_id
"""


def insert(tx: Transaction, account_id: str, message_id: str, report: str) -> None:
    """Keep what a held mail reports, as JSON."""
    tx.execute(INSERT, {"message_id": message_id, "account_id": account_id, "report": report})


def find(tx: Transaction, message_id: str) -> HeldReport | None:
    """What a mail that was held once reports, if it does."""
    row = tx.execute(FIND, {"message_id": message_id}).fetchone()
    return None if row is None else HeldReport.from_row(row)


def remember(tx: Transaction, message_id: str, turned: Turned | None) -> None:
    """Keep which letter it turned; None when that was taken back."""
    changed = (
        {"letter_id": None, "before": None, "after": None}
        if turned is None
        else {
            "letter_id": turned.letter_id,
            "before": orjson.dumps(turned.before).decode(),
            "after": orjson.dumps(turned.after).decode(),
        }
    )
    tx.execute(TURNED, {"message_id": message_id} | changed)
