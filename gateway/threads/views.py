"""What the API and the pages show of threads: read from the store, made safe, and nothing left to decide."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from gateway.sending.machine import shown
from gateway.threads.html import html_as_text, safe_html, text_as_html
from gateway.threads.why import explained
from storage import Transaction, messages, threads
from storage.messages import Attachment, BodyType, Direction, Message
from storage.threads import Address, Cursor, Object, Thread

Json: TypeAlias = dict[str, Any]


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
class MessageView:
    """A message of a thread.

    `html` is safe to put into a page; `text` is the same as plain text, `new_text` what of it is not quoted. `status`
    and `problem` are those of a letter that went through the outbox, else None. A mail that came in has
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
    html: str
    text: str
    new_text: str
    at: datetime
    sent_at: datetime | None
    received_at: datetime | None
    created_by: str | None
    internet_message_id: str | None
    graph_id: str | None
    attachments: Sequence[Attachment]
    evidence: Json | None


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


def conversation(tx: Transaction, account_id: str, thread_id: str) -> ConversationView:
    """Raises `storage.NotFound`. What is held for review is not in it."""
    thread = threads.get(tx, account_id, thread_id)
    return ConversationView(
        thread=thread_view(tx, thread),
        messages=[message_view(message) for message in messages.of_thread(tx, thread_id)],
    )


def feed(tx: Transaction, account_id: str, what: Object, *, before: Cursor | None = None, limit: int) -> list[Entry]:
    """Everything about an object in one list, newest first; a page ends at (`time`, `id`) of its last."""
    found = messages.of_object(tx, account_id, object_type=what.type, object_id=what.id, before=before, limit=limit)
    return [entry(message) for message in found]


def message_view(message: Message) -> MessageView:
    """One message."""
    text = text_of(message)
    incoming = message.direction is Direction.IN
    sent_at = message.sent_at if message.status is not None else message.message_at
    return MessageView(
        id=message.id,
        thread_id=message.thread_id,
        direction=message.direction,
        kind=message.kind,
        status=_status(message),
        problem=message.problem,
        from_=message.sender,
        to=message.recipients.to,
        cc=message.recipients.cc,
        subject=message.subject,
        preview=message.preview,
        html=html_of(message),
        text=text,
        new_text=message.new_text or text,
        at=message.message_at,
        sent_at=None if incoming else sent_at,
        received_at=message.message_at if incoming else None,
        created_by=message.created_by,
        internet_message_id=message.internet_message_id,
        graph_id=message.graph_id,
        attachments=message.attachments,
        evidence=explained(message.evidence),
    )


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


def html_of(message: Message) -> str:
    """The body, safe to put into a page."""
    return safe_html(message.body) if message.body_type is BodyType.HTML else text_as_html(message.body)


def text_of(message: Message) -> str:
    """The body as plain text."""
    return html_as_text(message.body) if message.body_type is BodyType.HTML else message.body


def to_json(view: object) -> Any:
    """A view as JSON has it: `from_` is spelled `from`, times are RFC 3339 in UTC and end in Z."""
    match view:
        case datetime():
            return view.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case dict():
            return {name: to_json(value) for name, value in view.items()}
        case list() | tuple():
            return [to_json(one) for one in view]
    if is_dataclass(view) and not isinstance(view, type):
        return {field.name.rstrip("_"): to_json(getattr(view, field.name)) for field in fields(view)}
    return view


def _status(message: Message) -> str | None:
    return None if message.status is None else shown(message.status)
