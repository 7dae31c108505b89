"""The outbox: letters on their way. What a state means, and which may follow, is `gateway.sending.machine`'s."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import IntegrityError, Row
from typing import Any, Self

import orjson

from storage.database import Transaction, moment, moment_or_none
from storage.errors import AlreadyExists, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The sending of one message. `message_id` is the message's id; its content is there.

    `next_attempt_at` is None once nothing more is to be done. `problem` is a JSON object for people.
    `graph_id`, `conversation_id`, `internet_message_id` are the message's, read along.
    """

    message_id: str
    account_id: str
    mailbox_id: str
    send_uid: str
    importance: str
    metadata: dict[str, Any]
    state: str
    state_since: datetime
    attempts: int
    submits: int
    next_attempt_at: datetime | None
    lease_owner: str | None
    submitted_at: datetime | None
    still_draft_at: datetime | None
    sent_at: datetime | None
    problem: dict[str, Any] | None
    created_at: datetime
    thread_id: str = ""
    graph_id: str | None = None
    conversation_id: str | None = None
    internet_message_id: str | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `SELECT_LETTER`."""
        return cls(
            message_id=row["message_id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            send_uid=row["send_uid"],
            importance=row["importance"],
            metadata=orjson.loads(row["metadata"]),
            state=row["state"],
            state_since=moment(row["state_since"]),
            attempts=row["attempts"],
            submits=row["submits"],
            next_attempt_at=moment_or_none(row["next_attempt_at"]),
            lease_owner=row["lease_owner"],
            submitted_at=moment_or_none(row["submitted_at"]),
            still_draft_at=moment_or_none(row["still_draft_at"]),
            sent_at=moment_or_none(row["sent_at"]),
            problem=None if row["problem"] is None else orjson.loads(row["problem"]),
            created_at=moment(row["created_at"]),
            thread_id=row["thread_id"],
            graph_id=row["graph_id"],
            conversation_id=row["conversation_id"],
            internet_message_id=row["internet_message_id"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterAttachment:
    """An attachment as SELMA posted it. Size in bytes."""

    name: str
    content_type: str
    content_id: str | None
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedKey:
    """An idempotency key that was used, with what it was used for."""

    fingerprint: bytes
    message_id: str


SELECT_LETTER = """
SELECT outbox.*, messages.thread_id, messages.graph_id, messages.conversation_id, messages.internet_message_id
  FROM outbox JOIN messages ON messages.id = outbox.message_id
"""
INSERT = """
INSERT INTO outbox (message_id, account_id, mailbox_id, send_uid, importance, metadata, state, state_since,
                    next_attempt_at, created_at)
VALUES (:message_id, :account_id, :mailbox_id, :send_uid, :importance, :metadata, :state, :now,
        :next_attempt_at, :now)
"""
INSERT_ATTACHMENT = """
INSERT INTO outbox_attachments (message_id, position, account_id, name, content_type, content_id, size, content)
VALUES (:message_id, :position, :account_id, :name, :content_type, :content_id, :size, :content)
"""
ATTACHMENTS = """
SELECT name, content_type, content_id, content FROM outbox_attachments
 WHERE message_id = :message_id ORDER BY position
"""
GET = SELECT_LETTER + " WHERE outbox.message_id = :message_id"
BY_SEND_UID = SELECT_LETTER + " WHERE outbox.account_id = :account_id AND outbox.send_uid = lower(:send_uid)"
CLAIM_DUE = """
UPDATE outbox SET lease_owner = :owner, lease_ends_at = :lease_ends_at, attempts = attempts + 1
 WHERE message_id IN (
       SELECT message_id FROM (
              SELECT due.message_id, due.next_attempt_at,
                     row_number() OVER (PARTITION BY due.mailbox_id
                                            ORDER BY due.next_attempt_at, due.message_id) AS place,
                     (SELECT count(*) FROM outbox AS held
                       WHERE held.mailbox_id = box.id AND held.lease_owner IS NOT NULL
                         AND held.lease_ends_at > :now) AS in_hand
                FROM mailboxes AS box
                JOIN outbox AS due ON due.message_id IN (
                     SELECT message_id FROM outbox
                      WHERE mailbox_id = box.id AND next_attempt_at <= :now
                        AND (lease_ends_at IS NULL OR lease_ends_at <= :now)
                      ORDER BY next_attempt_at, message_id LIMIT :per_mailbox)
               WHERE box.paused_until IS NULL OR box.paused_until <= :now)
        WHERE place + in_hand <= :per_mailbox
        ORDER BY next_attempt_at, message_id LIMIT :limit)
RETURNING message_id
"""
CLAIMED = (
    SELECT_LETTER
    + """
 WHERE outbox.message_id IN (SELECT value FROM json_each(:ids)) ORDER BY outbox.message_id
"""
)
UPDATE = """
UPDATE outbox
   SET state = :state, state_since = :state_since, attempts = :attempts, submits = :submits,
       next_attempt_at = :next_attempt_at, submitted_at = :submitted_at, still_draft_at = :still_draft_at,
       sent_at = :sent_at, problem = :problem,
       lease_owner = CASE WHEN :keep_lease THEN lease_owner END,
       lease_ends_at = CASE WHEN :keep_lease THEN lease_ends_at END
 WHERE message_id = :message_id
"""
LEASED = "SELECT message_id FROM outbox WHERE lease_owner IS NOT NULL"
NEXT_DUE = """
SELECT min(at) AS at FROM (
       SELECT max(coalesce(box.paused_until, 0),
                  (SELECT next_attempt_at FROM outbox
                    WHERE mailbox_id = box.id AND next_attempt_at IS NOT NULL AND lease_owner IS NULL
                    ORDER BY next_attempt_at LIMIT 1)) AS at
         FROM mailboxes AS box
        UNION ALL
       SELECT max(next_attempt_at, lease_ends_at) FROM outbox WHERE lease_owner IS NOT NULL)
"""
RENEW_SEND_UID = "UPDATE outbox SET send_uid = :send_uid WHERE message_id = :message_id"
COUNTS = "SELECT state, count(*) AS letters FROM outbox WHERE account_id = :account_id GROUP BY state"
REMEMBER = """
INSERT INTO idempotency_keys (account_id, key, fingerprint, message_id, created_at)
VALUES (:account_id, :key, :fingerprint, :message_id, :now)
"""
RECALL = "SELECT fingerprint, message_id FROM idempotency_keys WHERE account_id = :account_id AND key = :key"


def insert(
    tx: Transaction,
    *,
    message_id: str,
    account_id: str,
    mailbox_id: str,
    send_uid: str,
    importance: str,
    metadata: dict[str, Any],
    state: str,
    attachments: Sequence[LetterAttachment],
    next_attempt_at: datetime,
    now: datetime,
) -> None:
    """Put a message that was just inserted on its way. Announces `outbox`."""
    tx.execute(
        INSERT,
        {
            "message_id": message_id,
            "account_id": account_id,
            "mailbox_id": mailbox_id,
            "send_uid": send_uid,
            "importance": importance,
            "metadata": orjson.dumps(metadata).decode(),
            "state": state,
            "next_attempt_at": next_attempt_at,
            "now": now,
        },
    )
    for position, attachment in enumerate(attachments):
        tx.execute(
            INSERT_ATTACHMENT,
            {
                "message_id": message_id,
                "position": position,
                "account_id": account_id,
                "name": attachment.name,
                "content_type": attachment.content_type,
                "content_id": attachment.content_id,
                "size": len(attachment.content),
                "content": attachment.content,
            },
        )
    tx.announce("outbox")


def attachments_of(tx: Transaction, message_id: str) -> list[LetterAttachment]:
    """In the order SELMA gave them."""
    rows = tx.execute(ATTACHMENTS, {"message_id": message_id})
    return [
        LetterAttachment(
            name=row["name"],
            content_type=row["content_type"],
            content_id=row["content_id"],
            content=row["content"],
        )
        for row in rows
    ]


def find(tx: Transaction, message_id: str) -> Letter | None:
    """The sending of this message, if it is a letter of ours."""
    row = tx.execute(GET, {"message_id": message_id}).fetchone()
    return None if row is None else Letter.from_row(row)


def get(tx: Transaction, account_id: str, message_id: str) -> Letter:
    """Raises `NotFound`, also for another account's."""
    letter = find(tx, message_id)
    if letter is None or letter.account_id != account_id:
        raise NotFound("There is no such letter.")
    return letter


def by_send_uid(tx: Transaction, account_id: str, send_uid: str) -> Letter | None:
    """The letter with this tag; Graph compares tags without case, and so do we."""
    row = tx.execute(BY_SEND_UID, {"account_id": account_id, "send_uid": send_uid}).fetchone()
    return None if row is None else Letter.from_row(row)


def claim_due(
    tx: Transaction, *, owner: str, now: datetime, lease_ends_at: datetime, limit: int, per_mailbox: int = 4
) -> list[Letter]:
    """Take what is due, longest due first; each is ours until the lease ends. The attempt counts from here.

    Never more than `per_mailbox` of one mailbox are in hand at once, whoever holds them; none of a paused one.
    """
    claim = {
        "owner": owner,
        "now": now,
        "lease_ends_at": lease_ends_at,
        "limit": limit,
        "per_mailbox": per_mailbox,
    }
    ids = [row["message_id"] for row in tx.execute(CLAIM_DUE, claim).fetchall()]
    if not ids:
        return []
    return [Letter.from_row(row) for row in tx.execute(CLAIMED, {"ids": orjson.dumps(ids).decode()})]


def save(tx: Transaction, letter: Letter, *, keep_lease: bool = False) -> None:
    """Write a changed record back, and hand it back unless `keep_lease`. Announces `outbox`."""
    tx.execute(
        UPDATE,
        {
            "message_id": letter.message_id,
            "state": letter.state,
            "state_since": letter.state_since,
            "attempts": letter.attempts,
            "submits": letter.submits,
            "next_attempt_at": letter.next_attempt_at,
            "submitted_at": letter.submitted_at,
            "still_draft_at": letter.still_draft_at,
            "sent_at": letter.sent_at,
            "problem": None if letter.problem is None else orjson.dumps(letter.problem).decode(),
            "keep_lease": keep_lease,
        },
    )
    tx.announce("outbox")


def leased(tx: Transaction) -> list[Letter]:
    """At start, when the file's lock proves that nobody else lives: the letters a dead process had in hand."""
    ids = [row["message_id"] for row in tx.execute(LEASED)]
    return [Letter.from_row(row) for row in tx.execute(CLAIMED, {"ids": orjson.dumps(ids).decode()})]


def next_due(tx: Transaction) -> datetime | None:
    """When the next letter wants attention: it is due, its mailbox not paused, its lease if any at an end."""
    return moment_or_none(tx.execute(NEXT_DUE).fetchone()["at"])


def renew_send_uid(tx: Transaction, message_id: str, send_uid: str) -> None:
    """A person wants this letter sent anew: from now on it is another sending, with another tag."""
    tx.execute(RENEW_SEND_UID, {"message_id": message_id, "send_uid": send_uid})


def counts(tx: Transaction, account_id: str) -> dict[str, int]:
    """How many letters stand in each state."""
    return {row["state"]: row["letters"] for row in tx.execute(COUNTS, {"account_id": account_id})}


def remember_key(
    tx: Transaction, account_id: str, key: str, *, fingerprint: bytes, message_id: str, now: datetime
) -> None:
    """Bind an idempotency key to what it was used for. Raises `AlreadyExists`."""
    try:
        tx.execute(
            REMEMBER,
            {
                "account_id": account_id,
                "key": key,
                "fingerprint": fingerprint,
                "message_id": message_id,
                "now": now,
            },
        )
    except IntegrityError as error:
        raise AlreadyExists("This Idempotency-Key was used before.") from error


def recall_key(tx: Transaction, account_id: str, key: str) -> RememberedKey | None:
    """What this idempotency key was used for, if ever."""
    row = tx.execute(RECALL, {"account_id": account_id, "key": key}).fetchone()
    return None if row is None else RememberedKey(fingerprint=row["fingerprint"], message_id=row["message_id"])
