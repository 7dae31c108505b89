"""Messages: every letter of ours and every mail that belongs to one of our threads."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage import search
from storage.errors import NotFound
from storage.sight import IN_SIGHT, as_parameter
from storage.threads import Address, Cursor, Object
from storage.transaction import Transaction, moment, moment_or_none


class Direction(StrEnum):
    """OUT: from our mailbox, by us or by staff in Outlook."""

    IN = "in"
    OUT = "out"


class Kind(StrEnum):
    """What a message is."""

    MAIL = "mail"
    BOUNCE = "bounce"
    AUTOMATIC = "automatic"
    CALENDAR = "calendar"
    RECEIPT = "receipt"


class Placement(StrEnum):
    """HELD: waits for a person before it is shown in the thread."""

    PLACED = "placed"
    HELD = "held"
    DISMISSED = "dismissed"


class BodyType(StrEnum):
    """What `body` is written in."""

    HTML = "html"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Everybody a message is addressed to."""

    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        lists = orjson.loads(text)
        return cls(**{name: tuple(Address(**one) for one in people) for name, people in lists.items()})

    def to_json(self) -> str:
        """As it is stored."""
        return orjson.dumps({"to": self.to, "cc": self.cc, "bcc": self.bcc, "reply_to": self.reply_to}).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What is known of an attachment; its bytes stay in the mailbox. `id` is Graph's, None before it has one.

    `kind` is `file`, `item` (a mail or an event) or `reference` (a link, whose bytes are elsewhere). Size in bytes.
    """

    id: str | None
    name: str
    content_type: str
    size: int
    is_inline: bool
    content_id: str | None
    kind: str = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`body` is as it came, unsafe to show. `message_at`: accepted, then sent or received, UTC.

    `new_text` is what the message adds to its conversation, as plain text, where the mailbox could tell; `new_html` the
    same as HTML, unsafe to show, where it was written in HTML and is not the whole.
    `status` is the outbox state of a letter of ours, `problem` what keeps it from better; None for mail that did not go
    through our outbox.
    """

    id: str
    account_id: str
    mailbox_id: str
    thread_id: str
    direction: Direction
    kind: Kind
    placement: Placement
    graph_id: str | None
    conversation_id: str | None
    internet_message_id: str | None
    subject: str
    sender: Address | None
    recipients: Recipients
    body_type: BodyType
    body: str
    preview: str
    attachments: tuple[Attachment, ...]
    evidence: dict[str, Any] | None
    created_by: str | None
    message_at: datetime
    created_at: datetime
    new_text: str | None = None
    new_html: str | None = None
    status: str | None = None
    sent_at: datetime | None = None
    problem: dict[str, Any] | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `SELECT_MESSAGE`."""
        sender = None
        if row["from_address"] is not None:
            sender = Address(name=row["from_name"], address=row["from_address"])
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            mailbox_id=row["mailbox_id"],
            thread_id=row["thread_id"],
            direction=Direction(row["direction"]),
            kind=Kind(row["kind"]),
            placement=Placement(row["placement"]),
            graph_id=row["graph_id"],
            conversation_id=row["conversation_id"],
            internet_message_id=row["internet_message_id"],
            subject=row["subject"],
            sender=sender,
            recipients=Recipients.from_json(row["recipients"]),
            body_type=BodyType(row["body_type"]),
            body=row["body"],
            preview=row["preview"],
            attachments=tuple(Attachment(**one) for one in orjson.loads(row["attachments"])),
            evidence=None if row["evidence"] is None else orjson.loads(row["evidence"]),
            created_by=row["created_by"],
            message_at=moment(row["message_at"]),
            created_at=moment(row["created_at"]),
            new_text=row["new_text"],
            new_html=row["new_html"],
            status=row["status"],
            sent_at=moment_or_none(row["sent_at"]),
            problem=None if row["problem"] is None else orjson.loads(row["problem"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A letter that a mail names: as much of it as tells where that mail belongs."""

    id: str
    thread_id: str
    internet_message_id: str


SELECT_MESSAGE = """
SELECT messages.*, outbox.state AS status, outbox.sent_at, outbox.problem
  FROM messages LEFT JOIN outbox ON outbox.message_id = messages.id
"""
GET = SELECT_MESSAGE + " WHERE messages.account_id = :account_id AND messages.id = :id"
OF_THREAD = (
    SELECT_MESSAGE
    + """
 WHERE messages.thread_id = :thread_id AND messages.placement = 'placed'
 ORDER BY messages.message_at, messages.id
"""
)
# Which they are is settled on what is short; only those of the page are read whole. Threads that are older than the
# page can reach are not looked into: each of the newer ones has one message at least.
OF_OBJECT = (
    SELECT_MESSAGE
    + """
 WHERE messages.id IN (
       SELECT messages.id
         FROM thread_objects JOIN messages ON messages.thread_id = thread_objects.thread_id
        WHERE thread_objects.account_id = :account_id AND thread_objects.type = :type
          AND thread_objects.object_id = :object_id AND messages.placement = 'placed'
          AND (messages.message_at, messages.id) < (:before_at, :before_id)
          AND thread_objects.last_message_at >= coalesce((
              SELECT newest.last_message_at
                FROM thread_objects AS newest JOIN threads ON threads.id = newest.thread_id
               WHERE newest.account_id = :account_id AND newest.type = :type AND newest.object_id = :object_id
                 AND newest.last_message_at < :before_at AND threads.message_count > 0
               ORDER BY newest.last_message_at DESC
               LIMIT 1 OFFSET :limit - 1), :no_time)
        ORDER BY messages.message_at DESC, messages.id DESC
        LIMIT :limit)
 ORDER BY messages.message_at DESC, messages.id DESC
"""
)
# The index is named because SQLite, which counts rows seldom, would rather look at all messages of each thread.
HELD_OF_OBJECT = """
SELECT count(*) AS held
  FROM thread_objects JOIN messages INDEXED BY messages_held_in_thread
    ON messages.thread_id = thread_objects.thread_id
 WHERE thread_objects.account_id = :account_id AND thread_objects.type = :type
   AND thread_objects.object_id = :object_id AND messages.placement = 'held'
"""
HELD_IN_THREAD = (
    SELECT_MESSAGE.replace("FROM messages", "FROM messages INDEXED BY messages_held_in_thread")
    + """
 WHERE messages.thread_id = :thread_id AND messages.placement = 'held'
 ORDER BY messages.message_at, messages.id
"""
)
HELD = (
    SELECT_MESSAGE
    + """
 WHERE messages.account_id = :account_id AND messages.placement = 'held'
   AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.id = messages.thread_id AND threads.self_test = 1)
   AND (messages.message_at, messages.id) < (:before_at, :before_id)
   AND (:type IS NULL OR EXISTS (SELECT 1 FROM thread_objects
                                  WHERE thread_objects.thread_id = messages.thread_id AND thread_objects.type = :type
                                    AND thread_objects.object_id = :object_id))
 ORDER BY messages.message_at DESC, messages.id DESC
 LIMIT :limit
"""
)
LETTERS = (
    SELECT_MESSAGE
    + """
 WHERE outbox.account_id = :account_id AND outbox.message_id < :before_id
 ORDER BY outbox.message_id DESC
 LIMIT :limit
"""
)
LETTERS_OF_BATCH = LETTERS.replace("WHERE", "WHERE outbox.batch_id = :batch_id AND")
IN_SIGHT_TOO = f"threads.mailbox_id IN {IN_SIGHT}"
THREAD_IN_SIGHT = f"messages.thread_id IN (SELECT id FROM threads WHERE {IN_SIGHT_TOO})"
LETTERS_IN_SIGHT = LETTERS.replace("WHERE", f"WHERE {THREAD_IN_SIGHT} AND")
LETTERS_OF_BATCH_IN_SIGHT = LETTERS_OF_BATCH.replace("WHERE", f"WHERE {THREAD_IN_SIGHT} AND")
HELD_IN_SIGHT = HELD.replace("WHERE messages.account_id", f"WHERE {THREAD_IN_SIGHT} AND messages.account_id")
OF_OBJECT_IN_SIGHT = OF_OBJECT.replace(
    "messages.placement = 'placed'", f"messages.placement = 'placed' AND {THREAD_IN_SIGHT}"
)
OF_OBJECT_IN_SIGHT = OF_OBJECT_IN_SIGHT.replace(
    "threads.message_count > 0", f"threads.message_count > 0 AND {IN_SIGHT_TOO}"
)
BY_GRAPH_ID = SELECT_MESSAGE + " WHERE messages.mailbox_id = :mailbox_id AND messages.graph_id = :graph_id"
BY_INTERNET_MESSAGE_ID = (
    SELECT_MESSAGE
    + """
 WHERE messages.account_id = :account_id AND messages.internet_message_id = :internet_message_id
 ORDER BY messages.created_at, messages.id
"""
)
GRAPH_IDS_AMONG = """
SELECT graph_id FROM messages WHERE mailbox_id = :mailbox_id AND graph_id IN (SELECT value FROM json_each(:graph_ids))
"""
INTERNET_MESSAGE_IDS_AMONG = """
SELECT DISTINCT internet_message_id FROM messages
 WHERE account_id = :account_id AND internet_message_id IN (SELECT value FROM json_each(:ids))
"""
NAMED_BY_REFERENCES = """
SELECT id, thread_id, internet_message_id FROM messages
 WHERE account_id = :account_id AND internet_message_id IN (SELECT value FROM json_each(:references))
   AND direction = 'out' AND placement = 'placed'
 ORDER BY created_at DESC, id DESC
"""
THREADS_WITH_LETTERS_IN = """
SELECT DISTINCT messages.thread_id FROM messages JOIN outbox ON outbox.message_id = messages.id
 WHERE messages.mailbox_id = :mailbox_id AND conversation_id = :conversation_id AND placement = 'placed'
 ORDER BY thread_id
"""
INSERT = """
INSERT INTO messages (id, account_id, mailbox_id, thread_id, direction, kind, placement, graph_id, conversation_id,
                      internet_message_id, subject, from_name, from_address, recipients, body_type, body, new_text,
                      new_html, preview, attachments, evidence, created_by, message_at, created_at, search_id)
VALUES (:id, :account_id, :mailbox_id, :thread_id, :direction, :kind, :placement, :graph_id, :conversation_id,
        :internet_message_id, :subject, :from_name, :from_address, :recipients, :body_type, :body, :new_text, :new_html,
        :preview, :attachments, :evidence, :created_by, :message_at, :created_at, :search_id)
"""
RECIPIENTS = "SELECT recipients FROM messages WHERE id = :id"
IDENTIFY = """
UPDATE messages
   SET graph_id = :graph_id, conversation_id = :conversation_id, internet_message_id = :internet_message_id,
       message_at = coalesce(:message_at, message_at), attachments = coalesce(:attachments, attachments)
 WHERE id = :id
"""
ADOPT = """
UPDATE messages
   SET mailbox_id = :mailbox_id, graph_id = :graph_id, conversation_id = :conversation_id, direction = :direction
 WHERE id = :id
"""
PLACE = "UPDATE messages SET placement = :placement WHERE id = :id"
MOVE = "UPDATE messages SET thread_id = :thread_id, placement = :placement, evidence = :evidence WHERE id = :id"
FORGET_ITEM = """
UPDATE messages SET graph_id = NULL, conversation_id = NULL, internet_message_id = NULL WHERE id = :id
"""


def insert(tx: Transaction, message: Message, *, text: str | None = None) -> None:
    """Store a message. `status`, `sent_at` and `problem` are the outbox's and are not written here.

    `text` is what of it can be searched where `new_text` is None; without either, that is its preview.
    """
    sender = message.sender
    search_id = search.free_number(tx, message.message_at)
    tx.execute(
        INSERT,
        {
            "id": message.id,
            "account_id": message.account_id,
            "mailbox_id": message.mailbox_id,
            "thread_id": message.thread_id,
            "direction": message.direction,
            "kind": message.kind,
            "placement": message.placement,
            "graph_id": message.graph_id,
            "conversation_id": message.conversation_id,
            "internet_message_id": message.internet_message_id,
            "subject": message.subject,
            "from_name": None if sender is None else sender.name,
            "from_address": None if sender is None else sender.address,
            "recipients": message.recipients.to_json(),
            "body_type": message.body_type,
            "body": message.body,
            "new_text": message.new_text,
            "new_html": message.new_html,
            "preview": message.preview,
            "attachments": orjson.dumps(message.attachments).decode(),
            "evidence": None if message.evidence is None else orjson.dumps(message.evidence).decode(),
            "created_by": message.created_by,
            "message_at": message.message_at,
            "created_at": message.created_at,
            "search_id": search_id,
        },
    )
    files = ", ".join(one.name for one in message.attachments) or None
    search.add(tx, search_id, account_id=message.account_id, message_id=message.id, files=files, text=text)


def get(tx: Transaction, account_id: str, message_id: str) -> Message:
    """Raises `NotFound`, also for another account's."""
    row = tx.execute(GET, {"account_id": account_id, "id": message_id}).fetchone()
    if row is None:
        raise NotFound("There is no such message.")
    return Message.from_row(row)


def recipients_of(tx: Transaction, message_id: str) -> list[Address]:
    """Everybody a message goes to, without the rest of it."""
    row = tx.execute(RECIPIENTS, {"id": message_id}).fetchone()
    people = Recipients() if row is None else Recipients.from_json(row["recipients"])
    return [*people.to, *people.cc, *people.bcc]


def of_thread(tx: Transaction, thread_id: str) -> list[Message]:
    """What staff see of a thread, in order."""
    return [Message.from_row(row) for row in tx.execute(OF_THREAD, {"thread_id": thread_id})]


def of_object(
    tx: Transaction,
    account_id: str,
    *,
    object_type: str,
    object_id: str,
    before: Cursor | None = None,
    limit: int,
    mailbox_ids: Collection[str] | None = None,
) -> list[Message]:
    """One flat feed over all threads of an object, or those of them in some mailboxes, newest first."""
    question = {
        "account_id": account_id,
        "type": object_type,
        "object_id": object_id,
        "before_at": 2**63 - 1 if before is None else before.at,
        "before_id": "" if before is None else before.id,
        "limit": limit,
        "no_time": -(2**63),
    }
    if mailbox_ids is None:
        return [Message.from_row(row) for row in tx.execute(OF_OBJECT, question)]
    question |= {"mailbox_ids": as_parameter(mailbox_ids)}
    return [Message.from_row(row) for row in tx.execute(OF_OBJECT_IN_SIGHT, question)]


def held_of_object(tx: Transaction, account_id: str, *, object_type: str, object_id: str) -> int:
    """How many messages of an object's threads wait for a person before they are shown."""
    question = {"account_id": account_id, "type": object_type, "object_id": object_id}
    return int(tx.execute(HELD_OF_OBJECT, question).fetchone()["held"])


def held(
    tx: Transaction,
    account_id: str,
    *,
    of: Object | None = None,
    before: Cursor | None = None,
    limit: int,
    mailbox_ids: Collection[str] | None = None,
) -> list[Message]:
    """What waits for a person, newest first: all, or what may belong to an object's or some mailboxes' threads."""
    question = {
        "account_id": account_id,
        "type": None if of is None else of.type,
        "object_id": None if of is None else of.id,
        "before_at": 2**63 - 1 if before is None else before.at,
        "before_id": "" if before is None else before.id,
        "limit": limit,
    }
    if mailbox_ids is None:
        return [Message.from_row(row) for row in tx.execute(HELD, question)]
    question |= {"mailbox_ids": as_parameter(mailbox_ids)}
    return [Message.from_row(row) for row in tx.execute(HELD_IN_SIGHT, question)]


def held_in(tx: Transaction, thread_id: str) -> list[Message]:
    """What of a thread waits for a person, in order."""
    return [Message.from_row(row) for row in tx.execute(HELD_IN_THREAD, {"thread_id": thread_id})]


def letters(
    tx: Transaction,
    account_id: str,
    *,
    before_id: str | None = None,
    limit: int,
    batch_id: str | None = None,
    mailbox_ids: Collection[str] | None = None,
) -> list[Message]:
    """Letters that went through our outbox, newest first: all, or those of a batch, or from some mailboxes."""
    question = {"account_id": account_id, "before_id": before_id or "~", "limit": limit, "batch_id": batch_id}
    if mailbox_ids is None:
        statement = LETTERS if batch_id is None else LETTERS_OF_BATCH
    else:
        statement = LETTERS_IN_SIGHT if batch_id is None else LETTERS_OF_BATCH_IN_SIGHT
        question |= {"mailbox_ids": as_parameter(mailbox_ids)}
    return [Message.from_row(row) for row in tx.execute(statement, question)]


def by_graph_id(tx: Transaction, mailbox_id: str, graph_id: str) -> Message | None:
    """The message with this id in this mailbox. Ids are compared with case."""
    row = tx.execute(BY_GRAPH_ID, {"mailbox_id": mailbox_id, "graph_id": graph_id}).fetchone()
    return None if row is None else Message.from_row(row)


def by_internet_message_id(tx: Transaction, account_id: str, internet_message_id: str) -> list[Message]:
    """All with this Message-ID, oldest first: it is the sender's claim and need not be unique."""
    question = {"account_id": account_id, "internet_message_id": internet_message_id}
    return [Message.from_row(row) for row in tx.execute(BY_INTERNET_MESSAGE_ID, question)]


def graph_ids_among(tx: Transaction, mailbox_id: str, graph_ids: Iterable[str]) -> frozenset[str]:
    """Those of these ids that are stored in this mailbox."""
    question = {"mailbox_id": mailbox_id, "graph_ids": orjson.dumps(list(graph_ids)).decode()}
    return frozenset(row["graph_id"] for row in tx.execute(GRAPH_IDS_AMONG, question))


def internet_message_ids_among(tx: Transaction, account_id: str, ids: Iterable[str]) -> frozenset[str]:
    """Those of these Message-IDs of which there is a message."""
    question = {"account_id": account_id, "ids": orjson.dumps(list(ids)).decode()}
    return frozenset(row["internet_message_id"] for row in tx.execute(INTERNET_MESSAGE_IDS_AMONG, question))


def named_by(tx: Transaction, account_id: str, references: Sequence[str]) -> list[Named]:
    """Those that these Message-IDs name of what left our mailboxes and stands in its thread, newest first.

    Of what came in the ids were given by others.
    """
    question = {"account_id": account_id, "references": orjson.dumps(list(references)).decode()}
    return [Named(**row) for row in map(dict, tx.execute(NAMED_BY_REFERENCES, question))]


def threads_with_letters_in(tx: Transaction, mailbox_id: str, conversation_id: str) -> list[str]:
    """The threads that have letters of this Graph conversation: several, where Exchange threw them together."""
    question = {"mailbox_id": mailbox_id, "conversation_id": conversation_id}
    return [row["thread_id"] for row in tx.execute(THREADS_WITH_LETTERS_IN, question)]


def identify(
    tx: Transaction,
    message_id: str,
    *,
    graph_id: str | None,
    conversation_id: str | None,
    internet_message_id: str | None,
    message_at: datetime | None = None,
    attachments: Sequence[Attachment] | None = None,
) -> None:
    """Write down which item in the mailbox a letter of ours is."""
    tx.execute(
        IDENTIFY,
        {
            "id": message_id,
            "graph_id": graph_id,
            "conversation_id": conversation_id,
            "internet_message_id": internet_message_id,
            "message_at": message_at,
            "attachments": None if attachments is None else orjson.dumps(list(attachments)).decode(),
        },
    )
    if message_at is not None:
        search.renumber(tx, message_id)


def adopt(
    tx: Transaction,
    message_id: str,
    *,
    mailbox_id: str,
    graph_id: str,
    conversation_id: str | None,
    direction: Direction,
) -> None:
    """Let a stored mail stand for another of its copies, one that says more about it."""
    tx.execute(
        ADOPT,
        {
            "id": message_id,
            "mailbox_id": mailbox_id,
            "graph_id": graph_id,
            "conversation_id": conversation_id,
            "direction": direction,
        },
    )


def place(tx: Transaction, message_id: str, placement: Placement) -> None:
    """Show a mail in its thread, or not."""
    tx.execute(PLACE, {"id": message_id, "placement": placement})


def move(
    tx: Transaction, message_id: str, *, thread_id: str, placement: Placement, evidence: dict[str, Any] | None
) -> None:
    """Let a mail stand in another thread, or stand differently in its own, and say why."""
    kept = None if evidence is None else orjson.dumps(evidence).decode()
    tx.execute(MOVE, {"id": message_id, "thread_id": thread_id, "placement": placement, "evidence": kept})


def forget_item(tx: Transaction, message_id: str) -> None:
    """A letter of ours is to become another item in the mailbox; which one is not yet known."""
    tx.execute(FORGET_ITEM, {"id": message_id})
