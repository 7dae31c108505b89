"""The audit log: who did or read what, when, and from where. Rows are added, and hold ids and names, never mail.

The tables themselves refuse to change or delete a row (triggers in `migrations/`). What is older than a school wants to
keep goes through one door, `forget`, which leaves a row that says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Final, Self

import orjson

from storage.transaction import Transaction, moment


class Via(StrEnum):
    """Which way somebody came. COMMAND is the command line; SYSTEM: nobody came, the gateway did it by itself."""

    API = "api"
    PAGE = "page"
    COMMAND = "command"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something. `staff` is the person whom SELMA or the page named; `address` the remote one, as given."""

    via: Via
    key_id: str | None = None
    key_name: str | None = None
    staff: str | None = None
    address: str | None = None


SYSTEM: Final = Actor(via=Via.SYSTEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`act` is a noun and a verb, such as `review.accept`; `targets` the ids of what it was done to, by their kind."""

    seq: int
    account_id: str
    act: str
    actor: Actor
    targets: dict[str, str]
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `audit`."""
        actor = Actor(
            via=Via(row["via"]),
            key_id=row["key_id"],
            key_name=row["key_name"],
            staff=row["staff"],
            address=row["address"],
        )
        return cls(
            seq=row["seq"],
            account_id=row["account_id"],
            act=row["act"],
            actor=actor,
            targets=orjson.loads(row["targets"]),
            created_at=moment(row["created_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that is to go into the log."""

    account_id: str
    actor: Actor
    act: str
    targets: Mapping[str, str | None]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which records: those to which everything applies that is not None. `target` is the id of any of the targets."""

    act: str | None = None
    key_id: str | None = None
    staff: str | None = None
    target: str | None = None


ALL: Final = Filter()
INSERT = """
INSERT INTO audit (account_id, act, via, key_id, key_name, staff, address, targets, created_at)
VALUES (:account_id, :act, :via, :key_id, :key_name, :staff, :address, :targets, :now)
"""
OPEN_DOOR = "INSERT INTO audit_door (account_id, before, opened_at) VALUES (:account_id, :before, :now)"
FORGET = """
DELETE FROM audit WHERE seq IN (
    SELECT seq FROM audit WHERE account_id = :account_id AND created_at < :before ORDER BY created_at LIMIT :limit)
"""
CLOSE_DOOR = "DELETE FROM audit_door WHERE account_id = :account_id"
OLDER = "SELECT count(*) AS rows FROM audit WHERE account_id = :account_id AND created_at < :before"
ABOUT = """
SELECT * FROM audit
 WHERE account_id = :account_id
   AND EXISTS (SELECT 1 FROM json_each(audit.targets) WHERE value IN (SELECT value FROM json_each(:ids)))
 ORDER BY seq
"""
NEWEST = """
SELECT * FROM audit
 WHERE account_id = :account_id AND seq < :before
   AND (:act IS NULL OR act = :act) AND (:key_id IS NULL OR key_id = :key_id) AND (:staff IS NULL OR staff = :staff)
   AND (:target IS NULL OR EXISTS (SELECT 1 FROM json_each(audit.targets) WHERE value = :target))
 ORDER BY seq DESC LIMIT :limit
"""


def record(
    tx: Transaction, account_id: str, actor: Actor, act: str, targets: Mapping[str, str | None], *, now: datetime
) -> None:
    """Add to the log, in the transaction of the act. A target that is None is left out."""
    tx.execute(
        INSERT,
        {
            "account_id": account_id,
            "act": act,
            "via": actor.via,
            "key_id": actor.key_id,
            "key_name": actor.key_name,
            "staff": actor.staff,
            "address": actor.address,
            "targets": orjson.dumps({name: id for name, id in targets.items() if id is not None}).decode(),
            "now": now,
        },
    )


def record_all(tx: Transaction, entries: Iterable[Entry]) -> None:
    """Add what was gathered outside of a transaction."""
    for one in entries:
        record(tx, one.account_id, one.actor, one.act, one.targets, now=one.at)


def forget(tx: Transaction, account_id: str, *, before: datetime, limit: int, now: datetime) -> int:
    """Delete the oldest rows from before then, at most `limit`; how many went. It stands in the log if any did."""
    question = {"account_id": account_id, "before": before, "limit": limit, "now": now}
    if older(tx, account_id, before) == 0:
        return 0
    tx.execute(OPEN_DOOR, question)
    gone = tx.execute(FORGET, question).rowcount
    tx.execute(CLOSE_DOOR, question)
    return gone


def older(tx: Transaction, account_id: str, before: datetime) -> int:
    """How many rows are from before then."""
    row = tx.execute(OLDER, {"account_id": account_id, "before": before}).fetchone()
    return int(row["rows"])


def about(tx: Transaction, account_id: str, ids: Sequence[str]) -> list[Record]:
    """All that names one of these among its targets, in order. Reads the account's whole log."""
    question = {"account_id": account_id, "ids": orjson.dumps(list(ids)).decode()}
    return [Record.from_row(row) for row in tx.execute(ABOUT, question)]


def newest(
    tx: Transaction, account_id: str, *, only: Filter = ALL, before: int | None = None, limit: int
) -> list[Record]:
    """Newest first, from below `before`."""
    question = {
        "account_id": account_id,
        "act": only.act,
        "key_id": only.key_id,
        "staff": only.staff,
        "target": only.target,
        "before": 2**63 - 1 if before is None else before,
        "limit": limit,
    }
    return [Record.from_row(row) for row in tx.execute(NEWEST, question)]
