"""Watched folders: where each delta stands and when it is due."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from sqlite3 import Row
from typing import Self

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, microseconds, moment, moment_or_none


class WellKnown(StrEnum):
    """Graph's well-known names of the two folders that are watched."""

    INBOX = "inbox"
    SENT_ITEMS = "sentitems"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """`folder_id` is Graph's id; `unrelated` counts mail that was seen and not kept.

    `round_began_at`: when the delta round under way was begun, which takes several pulls when there is much; None
    between two rounds. `unannounced` counts mail that was kept though no notification had told of it.
    `bounded_items` counts what a round has shown that a filter bounds; `is_whole`: the next first round has no bounds.
    """

    id: str
    account_id: str
    mailbox_id: str
    well_known: WellKnown
    folder_id: str
    delta_link: str | None
    watch_since: datetime
    next_pull_at: datetime
    lease_owner: str | None
    last_pulled_at: datetime | None
    failures: int
    problem: str | None
    unrelated: int
    round_began_at: datetime | None
    unannounced: int
    bounded_items: int | None
    is_whole: bool

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `folders`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            well_known=WellKnown(row["well_known"]),
            folder_id=row["folder_id"],
            delta_link=row["delta_link"],
            watch_since=moment(row["watch_since"]),
            next_pull_at=moment(row["next_pull_at"]),
            lease_owner=row["lease_owner"],
            last_pulled_at=moment_or_none(row["last_pulled_at"]),
            failures=row["failures"],
            problem=row["problem"],
            unrelated=row["unrelated"],
            round_began_at=moment_or_none(row["round_began_at"]),
            unannounced=row["unannounced"],
            bounded_items=row["bounded_items"],
            is_whole=bool(row["is_whole"]),
        )


WATCH = """
INSERT INTO folders (id, account_id, mailbox_id, well_known, folder_id, watch_since, next_pull_at)
VALUES (:id, :account_id, :mailbox_id, :well_known, :folder_id, :watch_since, :now)
    ON CONFLICT (mailbox_id, well_known)
    DO UPDATE SET folder_id = :folder_id, next_pull_at = :now,
                  delta_link = CASE WHEN folder_id = :folder_id THEN delta_link END,
                  round_began_at = CASE WHEN folder_id = :folder_id THEN round_began_at END,
                  watch_since = CASE WHEN folder_id = :folder_id THEN watch_since ELSE :watch_since END
"""
GET = "SELECT * FROM folders WHERE id = :id"
OF_MAILBOX = "SELECT * FROM folders WHERE mailbox_id = :mailbox_id ORDER BY well_known"
# Sent Items need not be looked at for every letter while more are about to leave: the copies of a while are gathered.
# Not after a clock that ran ahead was set back.
DUE_AT = """
CASE WHEN well_known = 'sentitems' AND last_pulled_at BETWEEN :now - :gather AND :now
          AND EXISTS (SELECT 1 FROM outbox WHERE outbox.mailbox_id = folders.mailbox_id AND lane IN (1, 2)
                         AND next_attempt_at <= :now + :gather)
     THEN max(next_pull_at, last_pulled_at + :gather)
     ELSE next_pull_at END
"""
CLAIM_DUE = f"""
UPDATE folders SET lease_owner = :owner, lease_ends_at = :lease_ends_at, next_pull_at = :lease_ends_at
 WHERE id IN (SELECT folders.id FROM folders JOIN mailboxes ON mailboxes.id = folders.mailbox_id
               WHERE next_pull_at <= :now AND {DUE_AT} <= :now AND (lease_ends_at IS NULL OR lease_ends_at <= :now)
                 AND mailboxes.state = 'validated'
               ORDER BY next_pull_at LIMIT :limit)
RETURNING *
"""
PULL_SOON = "UPDATE folders SET next_pull_at = min(next_pull_at, :at) WHERE id = :id"
ADVANCE = """
UPDATE folders
   SET delta_link = :delta_link, unrelated = unrelated + :unrelated, round_began_at = :round_began_at,
       bounded_items = :bounded_items
 WHERE id = :id
"""
RESTART = """
UPDATE folders
   SET delta_link = NULL, round_began_at = NULL, bounded_items = NULL, is_whole = 0, watch_since = :since
 WHERE id = :id
"""
RESTART_WHOLE = """
UPDATE folders SET delta_link = NULL, round_began_at = NULL, bounded_items = NULL, is_whole = 1 WHERE id = :id
"""
COUNT_UNANNOUNCED = "UPDATE folders SET unannounced = unannounced + :count WHERE id = :id"
PULLED = """
UPDATE folders
   SET lease_owner = NULL, lease_ends_at = NULL, last_pulled_at = :now, failures = 0, problem = NULL,
       next_pull_at = CASE WHEN next_pull_at < lease_ends_at THEN min(next_pull_at, :next_pull_at)
                           ELSE :next_pull_at END
 WHERE id = :id AND lease_owner = :owner
"""
PULL_FAILED = """
UPDATE folders
   SET lease_owner = NULL, lease_ends_at = NULL, failures = failures + 1, problem = :problem,
       next_pull_at = :next_pull_at
 WHERE id = :id AND lease_owner = :owner
"""
NEXT_DUE = f"""
SELECT min(max({DUE_AT}, coalesce(lease_ends_at, next_pull_at))) AS at
  FROM folders JOIN mailboxes ON mailboxes.id = folders.mailbox_id
 WHERE mailboxes.state = 'validated'
"""
RELEASE_ALL = "UPDATE folders SET lease_owner = NULL, lease_ends_at = NULL WHERE lease_owner IS NOT NULL"
ALL_DUE = "UPDATE folders SET next_pull_at = min(next_pull_at, :now)"


def watch(
    tx: Transaction,
    account_id: str,
    mailbox_id: str,
    well_known: WellKnown,
    *,
    folder_id: str,
    since: datetime,
    now: datetime,
) -> None:
    """Start watching, or go on if already watched. Mail received before `since` is left alone.

    When the mailbox has another folder there than before, watching starts anew.
    """
    tx.execute(
        WATCH,
        {
            "id": new_id("fld", now),
            "account_id": account_id,
            "mailbox_id": mailbox_id,
            "well_known": well_known,
            "folder_id": folder_id,
            "watch_since": since,
            "now": now,
        },
    )
    tx.announce("folders")
    tx.announce("accounts")


def get(tx: Transaction, folder_id: str) -> Folder:
    """By our own id. Raises `NotFound`."""
    row = tx.execute(GET, {"id": folder_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no watched folder {folder_id}.")
    return Folder.from_row(row)


def of_mailbox(tx: Transaction, mailbox_id: str) -> list[Folder]:
    """Inbox first."""
    return [Folder.from_row(row) for row in tx.execute(OF_MAILBOX, {"mailbox_id": mailbox_id})]


def claim_due(
    tx: Transaction,
    *,
    owner: str,
    now: datetime,
    lease_ends_at: datetime,
    limit: int,
    gather: timedelta = timedelta(0),
) -> list[Folder]:
    """Take the folders whose pull is due and that nobody else is pulling; each is ours until the lease ends.

    Until then it is not due, so that whatever makes it due again meanwhile can be told apart: see `pulled`. Sent Items
    from which letters are still to leave are due only `gather` after they were last pulled.
    """
    claim = {"owner": owner, "lease_ends_at": lease_ends_at, "limit": limit, **_when(now, gather)}
    return [Folder.from_row(row) for row in tx.execute(CLAIM_DUE, claim).fetchall()]


def pull_soon(tx: Transaction, folder_id: str, at: datetime) -> None:
    """Pull at `at`, unless that is due earlier anyway."""
    tx.execute(PULL_SOON, {"id": folder_id, "at": at})
    tx.announce("folders")


def pull_everything(tx: Transaction, now: datetime) -> None:
    """After a start: whatever came meanwhile is fetched."""
    tx.execute(ALL_DUE, {"now": now})


def advance(
    tx: Transaction,
    folder_id: str,
    delta_link: str,
    *,
    unrelated: int,
    round_began_at: datetime | None = None,
    bounded_items: int | None = None,
) -> None:
    """Move the delta on. Belongs in the transaction that stores the page which `delta_link` follows.

    `round_began_at` is None when that page was the last of its round, `bounded_items` then and when it has no bounds.
    """
    tx.execute(
        ADVANCE,
        {
            "id": folder_id,
            "delta_link": delta_link,
            "unrelated": unrelated,
            "round_began_at": round_began_at,
            "bounded_items": bounded_items,
        },
    )


def count_unannounced(tx: Transaction, folder_id: str, count: int) -> None:
    """So many mails were kept that no notification had told of."""
    tx.execute(COUNT_UNANNOUNCED, {"id": folder_id, "count": count})


def restart(tx: Transaction, folder_id: str, since: datetime) -> None:
    """The delta link is dead: begin the folder again with mail received from `since`."""
    tx.execute(RESTART, {"id": folder_id, "since": since})


def restart_whole(tx: Transaction, folder_id: str) -> None:
    """Begin the folder again, with all mail that is in it."""
    tx.execute(RESTART_WHOLE, {"id": folder_id})


def pulled(
    tx: Transaction,
    folder: Folder,
    *,
    owner: str,
    next_pull_at: datetime,
    now: datetime,
) -> None:
    """Hand the folder back. Whatever made it due again since it was claimed keeps its earlier time."""
    tx.execute(
        PULLED,
        {
            "id": folder.id,
            "owner": owner,
            "next_pull_at": next_pull_at,
            "now": now,
        },
    )


def pull_failed(tx: Transaction, folder: Folder, *, owner: str, problem: str, next_pull_at: datetime) -> None:
    """Hand the folder back unpulled; `problem` is for people."""
    tx.execute(PULL_FAILED, {"id": folder.id, "owner": owner, "problem": problem, "next_pull_at": next_pull_at})


def next_due(tx: Transaction, *, now: datetime, gather: timedelta = timedelta(0)) -> datetime | None:
    """When the next folder can be claimed."""
    return moment_or_none(tx.execute(NEXT_DUE, _when(now, gather)).fetchone()["at"])


def _when(now: datetime, gather: timedelta) -> dict[str, int]:
    return {"now": microseconds(now), "gather": gather // timedelta(microseconds=1)}


def release_all(tx: Transaction) -> None:
    """At start, when the file's lock proves that nobody else lives: every lease is a dead one's."""
    tx.execute(RELEASE_ALL)
