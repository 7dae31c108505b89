"""Graph subscriptions as we know them. Of `clientState` only a digest is kept: it is compared, never sent again."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none


class SubscriptionState(StrEnum):
    """CREATING: about to be asked for, or asked for and unanswered. SUPERSEDED: replaced, still accepted.

    REMOVING: to be deleted at Graph. GONE: over.
    """

    CREATING = "creating"
    LIVE = "live"
    SUPERSEDED = "superseded"
    REMOVING = "removing"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """`subscription_id` and `expiration_date_time` are Graph's; `next_step_at` is when it needs us next.

    `renewed_at` is when Graph last granted a renewal or a reauthorization; None as long as it is as created.
    `encryption_certificate_id` is for whom Graph encrypts; None for plain notifications.
    """

    id: str
    account_id: str
    mailbox_id: str
    folder_id: str
    state: SubscriptionState
    subscription_id: str | None
    client_state_digest: bytes
    notification_url: str
    expiration_date_time: datetime | None
    renewed_at: datetime | None
    next_step_at: datetime | None
    reauthorize: bool
    failures: int
    problem: str | None
    created_at: datetime
    encryption_certificate_id: str | None = None

    @property
    def is_rich(self) -> bool:
        """Whether its notifications bring encrypted metadata of what they are about."""
        return self.encryption_certificate_id is not None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `subscriptions`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            folder_id=row["folder_id"],
            state=SubscriptionState(row["state"]),
            subscription_id=row["subscription_id"],
            client_state_digest=row["client_state_digest"],
            notification_url=row["notification_url"],
            expiration_date_time=moment_or_none(row["expiration_date_time"]),
            renewed_at=moment_or_none(row["renewed_at"]),
            next_step_at=moment_or_none(row["next_step_at"]),
            reauthorize=bool(row["reauthorize"]),
            failures=row["failures"],
            problem=row["problem"],
            created_at=moment(row["created_at"]),
            encryption_certificate_id=row["encryption_certificate_id"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A subscription that is not gone, with what it watches and for whom.

    `plain_until`: when its folder may have rich notifications again, after trouble with them.
    """

    subscription: Subscription
    well_known: str
    user_id: str | None
    validated: bool
    tenant_id: str | None
    plain_until: datetime | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `WATCHES`."""
        return cls(
            subscription=Subscription.from_row(row),
            well_known=row["well_known"],
            user_id=row["user_id"],
            validated=bool(row["validated"]),
            tenant_id=row["tenant_id"],
            plain_until=moment_or_none(row["plain_until"]),
        )


INSERT = """
INSERT INTO subscriptions (id, account_id, mailbox_id, folder_id, state, client_state_digest, notification_url,
                           next_step_at, created_at)
VALUES (:id, :account_id, :mailbox_id, :folder_id, 'creating', :client_state_digest, :notification_url,
        :next_step_at, :now)
"""
UPDATE = """
UPDATE subscriptions
   SET state = :state, subscription_id = :subscription_id, client_state_digest = :client_state_digest,
       notification_url = :notification_url, expiration_date_time = :expiration_date_time,
       renewed_at = :renewed_at, next_step_at = :next_step_at, reauthorize = :reauthorize,
       failures = :failures, problem = :problem, encryption_certificate_id = :encryption_certificate_id
 WHERE id = :id
"""
GET = "SELECT * FROM subscriptions WHERE id = :id"
DUE = """
SELECT * FROM subscriptions WHERE next_step_at <= :now ORDER BY next_step_at LIMIT :limit
"""
BY_SUBSCRIPTION_ID = "SELECT * FROM subscriptions WHERE subscription_id = :subscription_id AND state <> 'gone'"
BY_CLIENT_STATE = """
SELECT * FROM subscriptions WHERE client_state_digest = :digest AND state = 'creating'
"""
OPEN_OF_ACCOUNT = """
SELECT * FROM subscriptions WHERE account_id = :account_id AND state <> 'gone' ORDER BY created_at, id
"""
OPEN_OF_MAILBOX = "SELECT * FROM subscriptions WHERE mailbox_id = :mailbox_id AND state <> 'gone'"
CURRENT_OF_FOLDER = """
SELECT * FROM subscriptions WHERE folder_id = :folder_id AND state IN ('creating', 'live')
"""
UNWATCHED = """
SELECT folders.id FROM folders JOIN mailboxes ON mailboxes.id = folders.mailbox_id
 WHERE mailboxes.state = 'validated'
   AND NOT EXISTS (SELECT 1 FROM subscriptions
                    WHERE subscriptions.folder_id = folders.id AND subscriptions.state IN ('creating', 'live'))
"""
WATCHES = """
SELECT subscriptions.*, folders.well_known, mailboxes.user_id, mailboxes.state = 'validated' AS validated,
       accounts.tenant_id, rich_troubles.plain_until
  FROM subscriptions JOIN folders ON folders.id = subscriptions.folder_id
                     JOIN mailboxes ON mailboxes.id = subscriptions.mailbox_id
                     JOIN accounts ON accounts.id = subscriptions.account_id
                     LEFT JOIN rich_troubles ON rich_troubles.folder_id = subscriptions.folder_id
 WHERE subscriptions.state <> 'gone'
 ORDER BY subscriptions.next_step_at, subscriptions.id
"""
ADDRESSES = """
SELECT DISTINCT notification_url FROM subscriptions
 WHERE account_id = :account_id AND (state <> 'gone' OR created_at > :since)
"""
WITNESS = """
UPDATE OR IGNORE subscriptions SET subscription_id = :subscription_id
 WHERE id = :id AND state = 'creating' AND subscription_id IS NULL
"""
GONE_SINCE = """
SELECT count(*) AS count FROM subscriptions
 WHERE folder_id = :folder_id AND state = 'gone' AND created_at > :since
"""
PRUNE = "DELETE FROM subscriptions WHERE state = 'gone' AND created_at < :before"


def add(
    tx: Transaction,
    *,
    account_id: str,
    mailbox_id: str,
    folder_id: str,
    client_state_digest: bytes,
    notification_url: str,
    next_step_at: datetime,
    now: datetime,
) -> Subscription:
    """Write down the intent to create one, before Graph is asked."""
    row_id = new_id("sub", now)
    tx.execute(
        INSERT,
        {
            "id": row_id,
            "account_id": account_id,
            "mailbox_id": mailbox_id,
            "folder_id": folder_id,
            "client_state_digest": client_state_digest,
            "notification_url": notification_url,
            "next_step_at": next_step_at,
            "now": now,
        },
    )
    tx.announce("subscriptions")
    return get(tx, row_id)


def get(tx: Transaction, row_id: str) -> Subscription:
    """By our own id, which must exist."""
    return Subscription.from_row(tx.execute(GET, {"id": row_id}).fetchone())


def save(tx: Transaction, subscription: Subscription) -> None:
    """Write a changed record back. Announces `subscriptions`, so that what is due now is done now."""
    tx.execute(
        UPDATE,
        {
            "id": subscription.id,
            "state": subscription.state,
            "subscription_id": subscription.subscription_id,
            "client_state_digest": subscription.client_state_digest,
            "notification_url": subscription.notification_url,
            "expiration_date_time": subscription.expiration_date_time,
            "renewed_at": subscription.renewed_at,
            "next_step_at": subscription.next_step_at,
            "reauthorize": subscription.reauthorize,
            "failures": subscription.failures,
            "problem": subscription.problem,
            "encryption_certificate_id": subscription.encryption_certificate_id,
        },
    )
    tx.announce("subscriptions")


def due(tx: Transaction, now: datetime, *, limit: int = 100) -> list[Subscription]:
    """What needs a step now, over all accounts, most overdue first."""
    return [Subscription.from_row(row) for row in tx.execute(DUE, {"now": now, "limit": limit})]


def find(tx: Transaction, subscription_id: str) -> Subscription | None:
    """By Graph's id; also one that was just replaced."""
    row = tx.execute(BY_SUBSCRIPTION_ID, {"subscription_id": subscription_id}).fetchone()
    return None if row is None else Subscription.from_row(row)


def watches(tx: Transaction) -> list[Watch]:
    """All that are not gone, over all accounts, most urgent first."""
    return [Watch.from_row(row) for row in tx.execute(WATCHES)]


def addresses(tx: Transaction, account_id: str, since: datetime) -> set[str]:
    """The notification URLs of an account's that are not gone, or were made after `since`."""
    question = {"account_id": account_id, "since": since}
    return {row["notification_url"] for row in tx.execute(ADDRESSES, question)}


def witness(tx: Transaction, row_id: str, subscription_id: str) -> None:
    """Keep the id that a notification told of one whose 201 we have not read; the first one counts."""
    tx.execute(WITNESS, {"id": row_id, "subscription_id": subscription_id})
    tx.announce("subscriptions")


def gone_since(tx: Transaction, folder_id: str, since: datetime) -> int:
    """How many of this folder's were made after `since` and are gone already."""
    return int(tx.execute(GONE_SINCE, {"folder_id": folder_id, "since": since}).fetchone()["count"])


def find_creating(tx: Transaction, client_state_digest: bytes) -> Subscription | None:
    """The one whose 201 we have not read yet: its first notification can come before that."""
    row = tx.execute(BY_CLIENT_STATE, {"digest": client_state_digest}).fetchone()
    return None if row is None else Subscription.from_row(row)


def open_of_account(tx: Transaction, account_id: str) -> list[Subscription]:
    """All of one account that are not gone."""
    return [Subscription.from_row(row) for row in tx.execute(OPEN_OF_ACCOUNT, {"account_id": account_id})]


def open_of_mailbox(tx: Transaction, mailbox_id: str) -> list[Subscription]:
    """All of one mailbox that are not gone."""
    return [Subscription.from_row(row) for row in tx.execute(OPEN_OF_MAILBOX, {"mailbox_id": mailbox_id})]


def current_of_folder(tx: Transaction, folder_id: str) -> Subscription | None:
    """The one that is live or about to be."""
    row = tx.execute(CURRENT_OF_FOLDER, {"folder_id": folder_id}).fetchone()
    return None if row is None else Subscription.from_row(row)


def unwatched_folders(tx: Transaction) -> list[str]:
    """Our ids of folders of validated mailboxes that have neither a live subscription nor one under way."""
    return [row["id"] for row in tx.execute(UNWATCHED)]


def prune(tx: Transaction, before: datetime) -> int:
    """Forget those that are gone and were made before `before`; how many."""
    return tx.execute(PRUNE, {"before": before}).rowcount
