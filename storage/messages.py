"""Messages: every letter of ours and every mail that belongs to one of our threads.

What a message is, and how it is stored. In modules of their own: which one is meant (`identities`), where it is placed
(`placements`), and how people read them (`feeds`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Any, Self

import orjson

from storage import search_index
from storage.errors import NotFound
from storage.threads import Address
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


SELECT_MESSAGE = """
SELECT messages.*, outbox.state AS status, outbox.sent_at, outbox.problem
  FROM messages LEFT JOIN outbox ON outbox.message_id = messages.id
"""
GET = SELECT_MESSAGE + " WHERE messages.account_id = :account_id AND messages.id = :id"
RECIPIENTS = "SELECT recipients FROM messages WHERE id = :id"
INSERT = """
INSERT INTO messages (id, account_id, mailbox_id, thread_id, direction, kind, placement, graph_id, conversation_id,
                      internet_message_id, subject, from_name, from_address, recipients, body_type, body, new_text,
                      new_html, preview, attachments, evidence, created_by, message_at, created_at, search_id)
VALUES (:id, :account_id, :mailbox_id, :thread_id, :direction, :kind, :placement, :graph_id, :conversation_id,
        :internet_message_id, :subject, :from_name, :from_address, :recipients, :body_type, :body, :new_text, :new_html,
        :preview, :attachments, :evidence, :created_by, :message_at, :created_at, :search_id)
"""


def insert(tx: Transaction, message: Message, *, text: str | None = None) -> None:
    """Store a message. `status`, `sent_at` and `problem` are the outbox's and are not written here.

    `text` is what of it can be searched where `new_text` is None; without either, that is its preview.
    """
    sender = message.sender
    search_id = search_index.free_number(tx, message.message_at)
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
    search_index.add(tx, search_id, account_id=message.account_id, message_id=message.id, files=files, text=text)


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
