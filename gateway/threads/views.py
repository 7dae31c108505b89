"""What the API and the pages show of threads: read from the store, made safe, and nothing left to decide."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeAlias

import orjson

from gateway.sending.machine import shown
from gateway.threads.bodies import Bodies, Body, html_of
from gateway.threads.why import explained
from storage import Transaction, erasures, feeds, messages, threads
from storage.messages import Attachment, Direction, Message
from storage.threads import Address, Cursor, Object, Thread

Json: TypeAlias = dict[str, Any]
_NAMES: Final[dict[type, Sequence[tuple[str, str]] | None]] = {}  # see `_names`

POSITION: Final = "part-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadView:
    """A thread as lists show it. `unanswered`: the last word is the other side's.

    `unread` is how many messages the reader has not seen; None where no reader was named.
    """

    id: str
    mailbox: str
    conversation_id: str | None
    subject: str
    participants: Sequence[Address]
    objects: Sequence[Object]
    message_count: int
    last_message_at: datetime
    last_direction: str | None
    preview: str
    has_attachments: bool
    unanswered: bool
    unread: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentView:
    """What is known of an attachment. `id` is good for as long as the message is, whatever the mailbox calls it.

    `kind` is `file`, `item` (a mail or an event) or `reference` (a link: its bytes are elsewhere, and Graph does not
    say where). `content_type` is the sender's claim. Size in bytes, as the mailbox counts.
    """

    id: str
    name: str
    content_type: str
    size: int
    is_inline: bool
    content_id: str | None
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHead:
    """A message of a thread, but for what is written in it.

    `status` and `problem` are those of a letter that went through the outbox, else None. A mail that came in has
    `received_at`; one that went out has `sent_at`, None until it was seen in Sent Items. `at` is what sorts them.
    """

    id: str
    thread_id: str
    direction: Direction
    kind: messages.Kind
    status: str | None
    problem: Json | None
    from_: Address | None
    to: Sequence[Address]
    cc: Sequence[Address]
    subject: str
    preview: str
    at: datetime
    sent_at: datetime | None
    received_at: datetime | None
    created_by: str | None
    internet_message_id: str | None
    graph_id: str | None
    attachments: Sequence[AttachmentView]
    evidence: Json | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView(MessageHead):
    """A message of a thread, whole.

    `html` is safe to put into a page and has no pictures; `text` is the same as plain text. `new_html` and `new_text`
    are what of it is not quoted.
    """

    html: str
    text: str
    new_html: str
    new_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationView:
    """A thread and all that stands in it, in order."""

    thread: ThreadView
    messages: Sequence[MessageView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of SELMA's Events tab: an icon by kind and direction, subject, body, time, who created it."""

    id: str
    thread_id: str
    kind: messages.Kind
    direction: Direction
    status: str | None
    subject: str
    body: str
    preview: str
    time: datetime
    from_: Address | None
    created_by: str | None
    has_attachments: bool


def thread_view(tx: Transaction, thread: Thread) -> ThreadView:
    """One thread, with its people and objects."""
    return thread_views(tx, [thread])[0]


def thread_views(tx: Transaction, found: Sequence[Thread]) -> list[ThreadView]:
    """These threads, with their people and objects, which are asked for all at once."""
    company = threads.company_of(tx, [one.id for one in found]) if found else {}
    return [_thread_view(one, *company[one.id]) for one in found]


def _thread_view(thread: Thread, participants: Sequence[Address], objects: Sequence[Object]) -> ThreadView:
    return ThreadView(
        id=thread.id,
        mailbox=thread.mailbox,
        conversation_id=thread.conversation_id,
        subject=thread.subject,
        participants=participants,
        objects=objects,
        message_count=thread.message_count,
        last_message_at=thread.last_message_at,
        last_direction=thread.last_direction,
        preview=thread.preview,
        has_attachments=thread.has_attachments,
        unanswered=thread.unanswered,
    )


def threads_of(
    tx: Transaction, account_id: str, what: Object, *, before: Cursor | None = None, limit: int
) -> list[ThreadView]:
    """An object's threads, newest first; a page ends at (`last_message_at`, `id`) of its last."""
    return thread_views(tx, threads.of_object(tx, account_id, what, before=before, limit=limit))


def conversation(tx: Transaction, account_id: str, thread_id: str, bodies: Bodies) -> ConversationView:
    """Raises `storage.NotFound`. What is held for review is not in it."""
    thread, last_erasure = threads.get(tx, account_id, thread_id), erasures.number_of_last(tx)
    return ConversationView(
        thread=thread_view(tx, thread),
        messages=[
            message_view(message, bodies.of(Body, message, last_erasure)) for message in feeds.of_thread(tx, thread_id)
        ],
    )


def feed(
    tx: Transaction,
    account_id: str,
    what: Object,
    *,
    before: Cursor | None = None,
    limit: int,
    mailbox_ids: Collection[str] | None = None,
) -> list[Entry]:
    """Everything about an object in one list, newest first; a page ends at (`time`, `id`) of its last.

    With `mailbox_ids`, only what is in threads of these mailboxes.
    """
    found = feeds.of_object(
        tx,
        account_id,
        object_type=what.type,
        object_id=what.id,
        before=before,
        limit=limit,
        mailbox_ids=mailbox_ids,
    )
    return [entry(message) for message in found]


def message_head(message: Message) -> MessageHead:
    """One message without its body."""
    return MessageHead(**_head(message))


def message_view(message: Message, body: Body | None = None) -> MessageView:
    """One message; `body` where that is there already."""
    made = body or Body.of(message)
    return MessageView(**_head(message), html=made.html, text=made.text, new_html=made.new_html, new_text=made.new_text)


def _head(message: Message) -> dict[str, Any]:
    incoming = message.direction is Direction.IN
    sent_at = message.sent_at if message.status is not None else message.message_at
    return {
        "id": message.id,
        "thread_id": message.thread_id,
        "direction": message.direction,
        "kind": message.kind,
        "status": _status(message),
        "problem": message.problem,
        "from_": message.sender,
        "to": message.recipients.to,
        "cc": message.recipients.cc,
        "subject": message.subject,
        "preview": message.preview,
        "at": message.message_at,
        "sent_at": None if incoming else sent_at,
        "received_at": message.message_at if incoming else None,
        "created_by": message.created_by,
        "internet_message_id": message.internet_message_id,
        "graph_id": message.graph_id,
        "attachments": attachment_views(message),
        "evidence": explained(message.evidence),
    }


def attachment_views(message: Message) -> list[AttachmentView]:
    """The attachments, each with an id to ask for it by."""
    return [
        AttachmentView(
            id=attachment_id(one, position),
            name=one.name,
            content_type=one.content_type,
            size=one.size,
            is_inline=one.is_inline,
            content_id=one.content_id,
            kind=one.kind,
        )
        for position, one in enumerate(message.attachments)
    ]


def attachment_id(attachment: Attachment, position: int) -> str:
    """Graph's id; a letter's attachments have none until its copy in Sent Items was read."""
    return attachment.id or f"{POSITION}{position}"


def entry(message: Message) -> Entry:
    """One message as an entry of the Events tab."""
    return Entry(
        id=message.id,
        thread_id=message.thread_id,
        kind=message.kind,
        direction=message.direction,
        status=_status(message),
        subject=message.subject,
        body=html_of(message),
        preview=message.preview,
        time=message.message_at,
        from_=message.sender,
        created_by=message.created_by,
        has_attachments=bool(message.attachments),
    )


def to_json(view: object) -> Any:
    """A view as JSON has it: see `json_of`."""
    return orjson.loads(json_of(view))


def json_of(view: object) -> bytes:
    """A view as JSON: `from_` is spelled `from`, times are RFC 3339 in UTC and end in Z. Raises TypeError.

    All but dataclasses and times is left to the library, which takes a third of the time.
    """
    return orjson.dumps(view, default=_plain, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(view: object) -> Any:
    """One step into what the library does not know. Raises TypeError for what nobody knows."""
    if isinstance(view, datetime):
        return view.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(view, date | time):
        return view.isoformat()
    names = _names(type(view))
    if names is None:
        raise TypeError
    return {said: getattr(view, name) for name, said in names}


def _names(kind: type) -> Sequence[tuple[str, str]] | None:
    """The fields of a dataclass, and how JSON spells them; None for any other type."""
    if kind not in _NAMES:
        _NAMES[kind] = [(one.name, one.name.rstrip("_")) for one in fields(kind)] if is_dataclass(kind) else None
    return _NAMES[kind]


def _status(message: Message) -> str | None:
    return None if message.status is None else shown(message.status)
