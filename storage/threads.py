"""Threads: the Graph conversations, objects and people that belong together, and what lists show of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Final, Self

import orjson

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment


class ObjectType(StrEnum):
    """What a letter can concern, in SELMA's words."""

    STUDENT = "student"
    ENROLMENT = "enrolment"
    INTAKE = "intake"
    CLASS = "class"
    CONTACT = "contact"
    ORGANISATION = "organisation"
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Object:
    """One of SELMA's records."""

    type: ObjectType
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A mail address with the name that stood beside it."""

    name: str | None
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """`last_direction` is None until a first message stands in it."""

    id: str
    account_id: str
    mailbox_id: str
    mailbox: str
    conversation_id: str | None
    subject: str
    message_count: int
    last_message_at: datetime
    last_direction: str | None
    preview: str
    has_attachments: bool
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `SELECT_THREAD`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            mailbox=row["mailbox"],
            conversation_id=row["conversation_id"],
            subject=row["subject"],
            message_count=row["message_count"],
            last_message_at=moment(row["last_message_at"]),
            last_direction=row["last_direction"],
            preview=row["preview"],
            has_attachments=bool(row["has_attachments"]),
            created_at=moment(row["created_at"]),
        )

    @property
    def unanswered(self) -> bool:
        """Whether the last word is the other side's."""
        return self.last_direction == "in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a page of a newest-first list ended."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """Which threads a list is of. None: it does not matter."""

    mailbox_id: str | None = None
    unanswered: bool | None = None


ALL: Final = Only()

SELECT_THREAD = """
SELECT threads.*, mailboxes.address AS mailbox,
       (SELECT conversation_id FROM conversations
         WHERE conversations.thread_id = threads.id
         ORDER BY conversations.created_at LIMIT 1) AS conversation_id
  FROM threads JOIN mailboxes ON mailboxes.id = threads.mailbox_id
"""
GET = SELECT_THREAD + " WHERE threads.account_id = :account_id AND threads.id = :id"
# `thread_objects.last_message_at` follows the thread's by a trigger: an object's threads are one walk along an index.
OF_OBJECT = (
    SELECT_THREAD
    + """
  JOIN thread_objects ON thread_objects.thread_id = threads.id
 WHERE thread_objects.account_id = :account_id AND thread_objects.type = :type
   AND thread_objects.object_id = :object_id
   AND (thread_objects.last_message_at, thread_objects.thread_id) < (:before_at, :before_id)
   AND (:mailbox_id IS NULL OR threads.mailbox_id = :mailbox_id)
   AND (:unanswered IS NULL OR (threads.last_direction IS 'in') = :unanswered)
   AND (threads.message_count > 0
        OR NOT EXISTS (SELECT 1 FROM acts WHERE acts.from_thread_id = threads.id)
       AND NOT EXISTS (SELECT 1 FROM acts WHERE acts.thread_id = threads.id))
 ORDER BY thread_objects.last_message_at DESC, thread_objects.thread_id DESC
 LIMIT :limit
"""
)
NEWEST = (
    SELECT_THREAD
    + """
 WHERE threads.account_id = :account_id AND (threads.last_message_at, threads.id) < (:before_at, :before_id)
   AND threads.self_test = 0
 ORDER BY threads.last_message_at DESC, threads.id DESC
 LIMIT :limit
"""
)
# By whether a mailbox is named, and by `unanswered`: each is a walk along an index of its own.
NEWEST_OF: Final = {
    (mailbox, unanswered): NEWEST.replace("\n WHERE", f"\n WHERE {of_mailbox}{of_those}")
    for mailbox, of_mailbox in ((False, ""), (True, "threads.mailbox_id = :mailbox_id AND "))
    for unanswered, of_those in (
        (None, ""),
        (True, "threads.last_direction = 'in' AND "),
        (False, "threads.last_direction IS NOT 'in' AND "),
    )
}
BY_ID = SELECT_THREAD + " WHERE threads.account_id = :account_id AND threads.id IN (SELECT value FROM json_each(:ids))"
INSERT = """
INSERT INTO threads (id, account_id, mailbox_id, subject, self_test, message_count, last_message_at, last_direction,
                     preview, has_attachments, created_at)
VALUES (:id, :account_id, :mailbox_id, :subject, :self_test, :message_count, :now, :last_direction, :preview,
        :has_attachments, :now)
"""
IS_SELF_TEST = "SELECT 1 FROM threads WHERE id = :thread_id AND self_test = 1"
LINK = """
INSERT INTO thread_objects (account_id, type, object_id, thread_id, last_message_at)
VALUES (:account_id, :type, :object_id, :thread_id, (SELECT last_message_at FROM threads WHERE id = :thread_id))
    ON CONFLICT DO NOTHING
"""
UNLINK = """
DELETE FROM thread_objects
 WHERE account_id = :account_id AND type = :type AND object_id = :object_id AND thread_id = :thread_id
"""
OBJECTS = "SELECT type, object_id FROM thread_objects WHERE thread_id = :thread_id ORDER BY type, object_id"
ADD_CONVERSATION = """
INSERT INTO conversations (mailbox_id, conversation_id, account_id, thread_id, created_at)
VALUES (:mailbox_id, :conversation_id, :account_id, :thread_id, :now) ON CONFLICT DO NOTHING
"""
BY_CONVERSATION = """
SELECT thread_id FROM conversations WHERE mailbox_id = :mailbox_id AND conversation_id = :conversation_id
"""
REMOVE_CONVERSATION = "DELETE FROM conversations WHERE mailbox_id = :mailbox_id AND conversation_id = :conversation_id"
CONVERSATIONS_SINCE = """
SELECT conversations.conversation_id
  FROM conversations JOIN threads ON threads.id = conversations.thread_id
 WHERE conversations.mailbox_id = :mailbox_id AND threads.last_message_at >= :since
 ORDER BY threads.last_message_at DESC, conversations.conversation_id
"""
ADD_PARTICIPANT = """
INSERT INTO participants (thread_id, address, account_id, name) VALUES (:thread_id, :address, :account_id, :name)
    ON CONFLICT (thread_id, address) DO UPDATE SET name = coalesce(excluded.name, name)
"""
REMOVE_PARTICIPANT = "DELETE FROM participants WHERE thread_id = :thread_id AND address = :address"
# An agent may take part in thousands of threads, a student's are few: so those are looked through for the address.
SPEAKS_FOR_ANOTHER_STUDENT = """
SELECT EXISTS (SELECT 1 FROM thread_objects WHERE thread_id = :thread_id AND type = 'student')
       AND EXISTS (SELECT 1
                     FROM participants JOIN thread_objects ON thread_objects.thread_id = participants.thread_id
                    WHERE participants.account_id = :account_id AND participants.address = :address
                      AND participants.thread_id <> :thread_id AND thread_objects.type = 'student')
       AND NOT EXISTS (SELECT 1
                         FROM thread_objects AS here
                              CROSS JOIN thread_objects AS elsewhere
                                 ON elsewhere.account_id = here.account_id AND elsewhere.type = here.type
                                AND elsewhere.object_id = here.object_id AND elsewhere.thread_id <> here.thread_id
                              CROSS JOIN participants ON participants.thread_id = elsewhere.thread_id
                        WHERE here.thread_id = :thread_id AND here.type = 'student'
                          AND participants.address = :address) AS speaks
"""
PARTICIPANTS = "SELECT name, address FROM participants WHERE thread_id = :thread_id ORDER BY address"
# Of many threads, in one row: see the note above `storage.search.CANDIDATES`.
COMPANY = """
SELECT json_group_array(json_array(
           wanted.value,
           (SELECT json_group_array(json_object('name', name, 'address', address))
              FROM (SELECT name, address FROM participants WHERE thread_id = wanted.value ORDER BY address)),
           (SELECT json_group_array(json_object('type', type, 'id', object_id))
              FROM (SELECT type, object_id FROM thread_objects WHERE thread_id = wanted.value
                     ORDER BY type, object_id)))) AS company
  FROM json_each(:ids) AS wanted
"""
SUMMARISE = """
UPDATE threads
   SET (message_count, last_message_at, last_direction, preview, has_attachments) = (
       SELECT count(*), coalesce(max(message_at), threads.created_at),
              (SELECT direction FROM messages AS last
                WHERE last.thread_id = threads.id AND last.placement = 'placed' AND last.kind = 'mail'
                ORDER BY message_at DESC, id DESC LIMIT 1),
              coalesce((SELECT preview FROM messages AS last
                WHERE last.thread_id = threads.id AND last.placement = 'placed'
                ORDER BY message_at DESC, id DESC LIMIT 1), ''),
              coalesce(max(attachments <> '[]'), 0)
         FROM messages WHERE messages.thread_id = threads.id AND placement = 'placed')
 WHERE id = :thread_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What lists show of a thread that has one message."""

    direction: str
    preview: str
    has_attachments: bool


def create(
    tx: Transaction,
    account_id: str,
    mailbox_id: str,
    *,
    subject: str,
    self_test: bool = False,
    beginning: Beginning | None = None,
    now: datetime,
) -> str:
    """A new thread; its id. One of a `self_test` is in no list and not found by a search.

    It is empty until it is summarised, or begins with a message of now that whoever creates it puts into it.
    """
    thread_id = new_id("thr", now)
    tx.execute(
        INSERT,
        {
            "id": thread_id,
            "account_id": account_id,
            "mailbox_id": mailbox_id,
            "subject": subject,
            "self_test": self_test,
            "message_count": 0 if beginning is None else 1,
            "last_direction": None if beginning is None else beginning.direction,
            "preview": "" if beginning is None else beginning.preview,
            "has_attachments": beginning is not None and beginning.has_attachments,
            "now": now,
        },
    )
    return thread_id


def is_self_test(tx: Transaction, thread_id: str) -> bool:
    """Whether its letter only tried the way."""
    return tx.execute(IS_SELF_TEST, {"thread_id": thread_id}).fetchone() is not None


def get(tx: Transaction, account_id: str, thread_id: str) -> Thread:
    """Raises `NotFound`, also for another account's."""
    row = tx.execute(GET, {"account_id": account_id, "id": thread_id}).fetchone()
    if row is None:
        raise NotFound("There is no such thread.")
    return Thread.from_row(row)


def _before(cursor: Cursor | None) -> dict[str, object]:
    if cursor is None:
        return {"before_at": 2**63 - 1, "before_id": ""}
    return {"before_at": cursor.at, "before_id": cursor.id}


def of_object(
    tx: Transaction,
    account_id: str,
    what: Object,
    *,
    before: Cursor | None = None,
    limit: int,
    only: Only = ALL,
) -> list[Thread]:
    """Newest first, from where the page before ended; but for threads whose last message a person took away."""
    question = {
        "account_id": account_id,
        "type": what.type,
        "object_id": what.id,
        "limit": limit,
        "mailbox_id": only.mailbox_id,
        "unanswered": only.unanswered,
    }
    return [Thread.from_row(row) for row in tx.execute(OF_OBJECT, question | _before(before))]


def newest(
    tx: Transaction,
    account_id: str,
    *,
    before: Cursor | None = None,
    limit: int,
    only: Only = ALL,
) -> list[Thread]:
    """The threads of an account, newest first, from where the page before ended."""
    statement = NEWEST_OF[only.mailbox_id is not None, only.unanswered]
    question = {"account_id": account_id, "limit": limit, "mailbox_id": only.mailbox_id}
    return [Thread.from_row(row) for row in tx.execute(statement, question | _before(before))]


def by_id(tx: Transaction, account_id: str, thread_ids: Sequence[str]) -> dict[str, Thread]:
    """Those of these threads that are the account's."""
    rows = tx.execute(BY_ID, {"account_id": account_id, "ids": orjson.dumps(list(thread_ids)).decode()})
    return {row["id"]: Thread.from_row(row) for row in rows}


def company_of(tx: Transaction, thread_ids: Sequence[str]) -> dict[str, tuple[list[Address], list[Object]]]:
    """Who takes part in each of these threads, and whose Events tabs show it: as `participants` and `objects_of`."""
    row = tx.execute(COMPANY, {"ids": orjson.dumps(list(thread_ids)).decode()}).fetchone()
    return {
        thread_id: (
            [Address(**one) for one in people],
            [Object(type=ObjectType(one["type"]), id=one["id"]) for one in objects],
        )
        for thread_id, people, objects in orjson.loads(row["company"])
    }


def link(tx: Transaction, account_id: str, thread_id: str, objects: Iterable[Object]) -> None:
    """Show the thread on these objects' Events tabs too."""
    for what in objects:
        tx.execute(
            LINK,
            {"account_id": account_id, "type": what.type, "object_id": what.id, "thread_id": thread_id},
        )


def unlink(tx: Transaction, account_id: str, thread_id: str, what: Object) -> bool:
    """Do not show the thread on this object's Events tab; whether it was shown there."""
    question = {"account_id": account_id, "type": what.type, "object_id": what.id, "thread_id": thread_id}
    return tx.execute(UNLINK, question).rowcount > 0


def objects_of(tx: Transaction, thread_id: str) -> list[Object]:
    """Whose Events tabs show the thread."""
    rows = tx.execute(OBJECTS, {"thread_id": thread_id})
    return [Object(type=ObjectType(row["type"]), id=row["object_id"]) for row in rows]


def check_linked(tx: Transaction, thread_id: str, what: Object) -> None:
    """Raises `NotFound` when the thread does not stand on this object's Events tab."""
    if what not in objects_of(tx, thread_id):
        raise NotFound("There is no such thread on this Events tab.")


def add_conversation(
    tx: Transaction, account_id: str, thread_id: str, *, mailbox_id: str, conversation_id: str, now: datetime
) -> None:
    """From now on mail of this conversation belongs to this thread. One that is taken stays where it is."""
    tx.execute(
        ADD_CONVERSATION,
        {
            "mailbox_id": mailbox_id,
            "conversation_id": conversation_id,
            "account_id": account_id,
            "thread_id": thread_id,
            "now": now,
        },
    )


def remove_conversation(tx: Transaction, *, mailbox_id: str, conversation_id: str) -> None:
    """From now on mail of this conversation belongs to no thread."""
    tx.execute(REMOVE_CONVERSATION, {"mailbox_id": mailbox_id, "conversation_id": conversation_id})


def by_conversation(tx: Transaction, mailbox_id: str, conversation_id: str) -> str | None:
    """The thread that (mailbox, conversationId) belongs to."""
    question = {"mailbox_id": mailbox_id, "conversation_id": conversation_id}
    row = tx.execute(BY_CONVERSATION, question).fetchone()
    return None if row is None else str(row["thread_id"])


def conversations_since(tx: Transaction, mailbox_id: str, since: datetime) -> list[str]:
    """The conversations of a mailbox whose thread had its last message since then, newest first."""
    rows = tx.execute(CONVERSATIONS_SINCE, {"mailbox_id": mailbox_id, "since": since})
    return [row["conversation_id"] for row in rows]


def add_participants(tx: Transaction, account_id: str, thread_id: str, people: Iterable[Address]) -> None:
    """These addresses take part; a later name replaces an earlier one."""
    for one in people:
        tx.execute(
            ADD_PARTICIPANT,
            {"thread_id": thread_id, "address": one.address, "account_id": account_id, "name": one.name},
        )


def remove_participant(tx: Transaction, thread_id: str, address: str) -> None:
    """This address takes part no more."""
    tx.execute(REMOVE_PARTICIPANT, {"thread_id": thread_id, "address": address})


def speaks_for_another_student(tx: Transaction, account_id: str, thread_id: str, address: str) -> bool:
    """Whether an address takes part in threads about students, and in none about those of this thread."""
    question = {"account_id": account_id, "thread_id": thread_id, "address": address}
    return bool(tx.execute(SPEAKS_FOR_ANOTHER_STUDENT, question).fetchone()["speaks"])


def participants(tx: Transaction, thread_id: str) -> list[Address]:
    """By address."""
    rows = tx.execute(PARTICIPANTS, {"thread_id": thread_id})
    return [Address(name=row["name"], address=row["address"]) for row in rows]


def summarise(tx: Transaction, thread_id: str) -> None:
    """Bring what lists show up to date with the messages that stand in the thread."""
    tx.execute(SUMMARISE, {"thread_id": thread_id})
