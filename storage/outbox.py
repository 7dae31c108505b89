"""The outbox: letters on their way. What a state means, and which may follow, is `gateway.sending.machine`'s."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage.errors import NotFound
from storage.origins import NOWHERE, Origin
from storage.transaction import Transaction, moment, moment_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The sending of one message. `message_id` is the message's id; its content is there.

    `next_attempt_at` is None once nothing more is to be done. `problem` is a JSON object for people. `restored_at` is
    set while a row that a backup brought back is in doubt, `tidy_at` while drafts of it may be left behind.
    `recipients` is how many people it goes to. `graph_id`, `conversation_id`, `internet_message_id` are the message's,
    read along. `origin` is the request that posted it.
    """

    message_id: str
    account_id: str
    mailbox_id: str
    batch_id: str | None = None
    in_reply_to: str | None = None
    send_uid: str
    importance: str
    headers: tuple[tuple[str, str], ...] = ()
    metadata: dict[str, Any]
    recipients: int = 1
    send_at: datetime | None = None
    state: str
    state_since: datetime
    attempts: int
    submits: int
    next_attempt_at: datetime | None
    lease_owner: str | None
    submitted_at: datetime | None
    still_draft_at: datetime | None
    restored_at: datetime | None = None
    tidy_at: datetime | None = None
    sent_at: datetime | None
    problem: dict[str, Any] | None
    created_at: datetime
    thread_id: str = ""
    graph_id: str | None = None
    conversation_id: str | None = None
    internet_message_id: str | None = None
    origin: Origin = NOWHERE

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `SELECT_LETTER`."""
        return cls(
            message_id=row["message_id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            batch_id=row["batch_id"],
            in_reply_to=row["in_reply_to"],
            send_uid=row["send_uid"],
            importance=row["importance"],
            headers=tuple((name, value) for name, value in orjson.loads(row["headers"])),
            metadata=orjson.loads(row["metadata"]),
            recipients=row["recipients"],
            send_at=moment_or_none(row["send_at"]),
            state=row["state"],
            state_since=moment(row["state_since"]),
            attempts=row["attempts"],
            submits=row["submits"],
            next_attempt_at=moment_or_none(row["next_attempt_at"]),
            lease_owner=row["lease_owner"],
            submitted_at=moment_or_none(row["submitted_at"]),
            still_draft_at=moment_or_none(row["still_draft_at"]),
            restored_at=moment_or_none(row["restored_at"]),
            tidy_at=moment_or_none(row["tidy_at"]),
            sent_at=moment_or_none(row["sent_at"]),
            problem=None if row["problem"] is None else orjson.loads(row["problem"]),
            created_at=moment(row["created_at"]),
            thread_id=row["thread_id"],
            graph_id=row["graph_id"],
            conversation_id=row["conversation_id"],
            internet_message_id=row["internet_message_id"],
            origin=Origin.from_row(row),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLetter:
    """A letter for a message that was just inserted in that thread, as `insert` takes it."""

    message_id: str
    thread_id: str
    account_id: str
    mailbox_id: str
    send_uid: str
    importance: str
    metadata: dict[str, Any]
    recipients: int
    state: str
    next_attempt_at: datetime
    headers: tuple[tuple[str, str], ...] = ()
    in_reply_to: str | None = None
    send_at: datetime | None = None
    batch_id: str | None = None
    batch_position: int | None = None


SELECT_LETTER = """
SELECT outbox.*, messages.thread_id, messages.graph_id, messages.conversation_id, messages.internet_message_id
  FROM outbox JOIN messages ON messages.id = outbox.message_id
"""
INSERT = """
INSERT INTO outbox (message_id, account_id, mailbox_id, batch_id, batch_position, in_reply_to, send_uid, importance,
                    headers, metadata, recipients, send_at, state, state_since, next_attempt_at, created_at,
                    traceparent, request_id)
VALUES (:message_id, :account_id, :mailbox_id, :batch_id, :batch_position, :in_reply_to, :send_uid, :importance,
        :headers, :metadata, :recipients, :send_at, :state, :now, :next_attempt_at, :now, :traceparent, :request_id)
"""
GET = SELECT_LETTER + " WHERE outbox.message_id = :message_id"
BY_SEND_UID = SELECT_LETTER + " WHERE outbox.account_id = :account_id AND outbox.send_uid = lower(:send_uid)"
SOME = (
    SELECT_LETTER
    + """
 WHERE outbox.message_id IN (SELECT value FROM json_each(:ids)) ORDER BY outbox.message_id
"""
)
UPDATE = """
UPDATE outbox
   SET state = :state, state_since = :state_since, attempts = :attempts, submits = :submits,
       next_attempt_at = :next_attempt_at, submitted_at = :submitted_at, still_draft_at = :still_draft_at,
       restored_at = :restored_at, tidy_at = :tidy_at, sent_at = :sent_at, problem = :problem,
       lease_owner = CASE WHEN :keep_lease THEN lease_owner END,
       lease_ends_at = CASE WHEN :keep_lease THEN lease_ends_at END
 WHERE message_id = :message_id
"""
UNFINISHED = "SELECT message_id FROM outbox WHERE next_attempt_at IS NOT NULL AND message_id > :after LIMIT :limit"
UNFINISHED_OF_BATCH = (
    SELECT_LETTER
    + " WHERE outbox.batch_id = :batch_id AND outbox.next_attempt_at IS NOT NULL ORDER BY outbox.batch_position"
)
UNTIDY = "SELECT message_id FROM outbox WHERE tidy_at <= :now ORDER BY tidy_at LIMIT :limit"
TIDIED = """
UPDATE outbox SET tidy_at = :again_at
 WHERE message_id = :message_id AND state_since = :state_since AND tidy_at IS NOT NULL
"""
LEAVE_UNTIDY = """
UPDATE outbox SET tidy_at = :at WHERE message_id = :message_id AND state IN ('failed', 'cancelled') AND submits = 0
"""
RENEW_SEND_UID = "UPDATE outbox SET send_uid = :send_uid WHERE message_id = :message_id"
COUNTS = "SELECT state, count(*) AS letters FROM outbox WHERE account_id = :account_id GROUP BY state"
COUNTS_IN_STATES = """
SELECT state, count(*) AS letters FROM outbox
 WHERE account_id = :account_id AND state IN (SELECT value FROM json_each(:states)) GROUP BY state
"""
# Named, because statistics of a file in which nearly all letters are sent make SQLite read the whole table instead.
HELD = """
SELECT count(*) AS letters FROM outbox INDEXED BY outbox_by_state
 WHERE account_id = :account_id AND state = 'drafted' AND json_extract(problem, '$.code') = :code
"""
IN_STATE = (
    SELECT_LETTER
    + """
 WHERE outbox.account_id = :account_id AND outbox.state = :state AND outbox.message_id < :before_id
 ORDER BY outbox.message_id DESC LIMIT :limit
"""
)
OF_BATCH = (
    SELECT_LETTER
    + """
 WHERE outbox.account_id = :account_id AND outbox.batch_id = :batch_id AND outbox.state = coalesce(:state, outbox.state)
 ORDER BY outbox.message_id DESC LIMIT :limit
"""
)
NEXT_TO_LEAVE = (
    SELECT_LETTER
    + """
 WHERE outbox.message_id IN (
       SELECT message_id FROM outbox
        WHERE account_id = :account_id AND state IN (SELECT value FROM json_each(:states))
        ORDER BY max(next_attempt_at, :now), lane, next_attempt_at, message_id LIMIT :limit)
 ORDER BY max(outbox.next_attempt_at, :now), outbox.lane, outbox.next_attempt_at, outbox.message_id
"""
)
OLDEST_DUE = """
SELECT min(next_attempt_at) AS at FROM outbox
 WHERE mailbox_id IN (SELECT id FROM mailboxes WHERE account_id = :account_id) AND next_attempt_at <= :now
"""
# Whoever meets what pauses a mailbox is itself put off until then, so the nearest in time tells why.
PROBLEM_NEAR = """
SELECT problem FROM outbox
 WHERE mailbox_id = :mailbox_id AND next_attempt_at IS NOT NULL AND problem IS NOT NULL
 ORDER BY abs(next_attempt_at - :at), message_id LIMIT 1
"""
WAITING = """
SELECT count(*) AS letters, coalesce(sum(recipients), 0) AS recipients, max(next_attempt_at) AS last
  FROM outbox
 WHERE mailbox_id = :mailbox_id AND lane IN (1, 2) AND next_attempt_at IS NOT NULL
"""
HAS_ANSWER = """
SELECT EXISTS (SELECT 1 FROM messages JOIN outbox ON outbox.message_id = messages.id
                WHERE messages.thread_id = :thread_id AND outbox.in_reply_to = :message_id
                  AND outbox.created_at >= :since AND outbox.state <> 'cancelled') AS answered
"""


def insert(tx: Transaction, letter: NewLetter, *, now: datetime) -> Letter:
    """Put a message that was just inserted on its way; the letter as it stands from here. Announces `outbox`."""
    tx.execute(
        INSERT,
        {
            "message_id": letter.message_id,
            "account_id": letter.account_id,
            "mailbox_id": letter.mailbox_id,
            "batch_id": letter.batch_id,
            "batch_position": letter.batch_position,
            "in_reply_to": letter.in_reply_to,
            "send_uid": letter.send_uid,
            "importance": letter.importance,
            "headers": orjson.dumps(letter.headers).decode(),
            "metadata": orjson.dumps(letter.metadata).decode(),
            "recipients": letter.recipients,
            "send_at": letter.send_at,
            "state": letter.state,
            "next_attempt_at": letter.next_attempt_at,
            "now": now,
            "traceparent": tx.origin.traceparent,
            "request_id": tx.origin.request_id,
        },
    )
    tx.announce("outbox")
    return Letter(
        message_id=letter.message_id,
        account_id=letter.account_id,
        mailbox_id=letter.mailbox_id,
        batch_id=letter.batch_id,
        in_reply_to=letter.in_reply_to,
        send_uid=letter.send_uid,
        importance=letter.importance,
        headers=letter.headers,
        metadata=letter.metadata,
        recipients=letter.recipients,
        send_at=letter.send_at,
        state=letter.state,
        state_since=now,
        attempts=0,
        submits=0,
        next_attempt_at=letter.next_attempt_at,
        lease_owner=None,
        submitted_at=None,
        still_draft_at=None,
        sent_at=None,
        problem=None,
        created_at=now,
        thread_id=letter.thread_id,
        origin=tx.origin,
    )


def some(tx: Transaction, ids: Sequence[str]) -> list[Letter]:
    """The letters with these ids, in the order of their ids."""
    if not ids:
        return []
    return [Letter.from_row(row) for row in tx.execute(SOME, {"ids": orjson.dumps(list(ids)).decode()})]


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


def has_answer(tx: Transaction, thread_id: str, message_id: str, *, since: datetime) -> bool:
    """Whether a letter in this thread answers this message, posted since then and not cancelled."""
    question = {"thread_id": thread_id, "message_id": message_id, "since": since}
    return bool(tx.execute(HAS_ANSWER, question).fetchone()["answered"])


def by_send_uid(tx: Transaction, account_id: str, send_uid: str) -> Letter | None:
    """The letter with this tag; Graph compares tags without case, and so do we."""
    row = tx.execute(BY_SEND_UID, {"account_id": account_id, "send_uid": send_uid}).fetchone()
    return None if row is None else Letter.from_row(row)


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
            "restored_at": letter.restored_at,
            "tidy_at": letter.tidy_at,
            "sent_at": letter.sent_at,
            "problem": None if letter.problem is None else orjson.dumps(letter.problem).decode(),
            "keep_lease": keep_lease,
        },
    )
    tx.announce("outbox")


def unfinished(tx: Transaction, *, after: str = "", limit: int) -> list[Letter]:
    """Letters that are not over, of all accounts, in the order of their ids."""
    ids = [row["message_id"] for row in tx.execute(UNFINISHED, {"after": after, "limit": limit})]
    return some(tx, ids)


def unfinished_of(tx: Transaction, batch_id: str) -> list[Letter]:
    """A batch's letters that are not over."""
    return [Letter.from_row(row) for row in tx.execute(UNFINISHED_OF_BATCH, {"batch_id": batch_id})]


def untidy(tx: Transaction, *, now: datetime, limit: int) -> list[Letter]:
    """Letters that will not leave and may have left drafts behind, of all accounts."""
    ids = [row["message_id"] for row in tx.execute(UNTIDY, {"now": now, "limit": limit})]
    return some(tx, ids)


def tidied(tx: Transaction, letter: Letter, *, again_at: datetime | None) -> None:
    """Nothing of it is left behind, or it is looked for again; unless the letter has gone another way meanwhile."""
    question = {"message_id": letter.message_id, "state_since": letter.state_since, "again_at": again_at}
    tx.execute(TIDIED, question)


def leave_untidy(tx: Transaction, message_id: str, *, at: datetime) -> None:
    """A draft was made of a letter that had just been given up, if it was."""
    tx.execute(LEAVE_UNTIDY, {"message_id": message_id, "at": at})


def renew_send_uid(tx: Transaction, message_id: str, send_uid: str) -> None:
    """A person wants this letter sent anew: from now on it is another sending, with another tag."""
    tx.execute(RENEW_SEND_UID, {"message_id": message_id, "send_uid": send_uid})


def counts(tx: Transaction, account_id: str) -> dict[str, int]:
    """How many letters stand in each state."""
    return {row["state"]: row["letters"] for row in tx.execute(COUNTS, {"account_id": account_id})}


def counts_in(tx: Transaction, account_id: str, states: Iterable[str]) -> dict[str, int]:
    """The same for some states: cheap where those that are over are many."""
    question = {"account_id": account_id, "states": orjson.dumps(sorted(states)).decode()}
    return {row["state"]: row["letters"] for row in tx.execute(COUNTS_IN_STATES, question)}


def drafted_with_problem(tx: Transaction, account_id: str, code: str) -> int:
    """How many drafts wait for this reason."""
    return int(tx.execute(HELD, {"account_id": account_id, "code": code}).fetchone()["letters"])


def in_state(tx: Transaction, account_id: str, state: str, *, before_id: str | None = None, limit: int) -> list[Letter]:
    """An account's letters in one state, newest first."""
    question = {"account_id": account_id, "state": state, "before_id": before_id or "~", "limit": limit}
    return [Letter.from_row(row) for row in tx.execute(IN_STATE, question)]


def of_batch(tx: Transaction, account_id: str, batch_id: str, *, state: str | None = None, limit: int) -> list[Letter]:
    """A batch's letters, newest first: all, or those in one state."""
    question = {"account_id": account_id, "batch_id": batch_id, "state": state, "limit": limit}
    return [Letter.from_row(row) for row in tx.execute(OF_BATCH, question)]


def next_to_leave(
    tx: Transaction, account_id: str, states: Iterable[str], *, now: datetime, limit: int
) -> list[Letter]:
    """An account's letters in these states, in the order in which they are taken: of those due, single ones first."""
    question = {"account_id": account_id, "states": orjson.dumps(sorted(states)).decode(), "now": now, "limit": limit}
    return [Letter.from_row(row) for row in tx.execute(NEXT_TO_LEAVE, question)]


def oldest_due(tx: Transaction, account_id: str, now: datetime) -> datetime | None:
    """Since when the letter that has been due for longest is due; None when none is."""
    return moment_or_none(tx.execute(OLDEST_DUE, {"account_id": account_id, "now": now}).fetchone()["at"])


def problem_near(tx: Transaction, mailbox_id: str, at: datetime) -> dict[str, Any] | None:
    """Why a mailbox is paused until `at`, by what its letters met."""
    row = tx.execute(PROBLEM_NEAR, {"mailbox_id": mailbox_id, "at": at}).fetchone()
    return None if row is None else dict(orjson.loads(row["problem"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is still to leave a mailbox: how many letters, to how many people, and when the last of them is due."""

    letters: int
    recipients: int
    last_due: datetime | None


def waiting(tx: Transaction, mailbox_id: str) -> Waiting:
    """What is still to leave this mailbox."""
    row = tx.execute(WAITING, {"mailbox_id": mailbox_id}).fetchone()
    return Waiting(letters=row["letters"], recipients=row["recipients"], last_due=moment_or_none(row["last"]))
