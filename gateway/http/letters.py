"""How the API shows a letter on its way, and one message whole."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal

from gateway.sending.machine import shown
from gateway.threads.views import MessageView, message_view
from storage import NotFound, Transaction, feeds, messages, outbox, threads
from storage.messages import Attachment, Placement
from storage.outbox import Letter
from storage.threads import Address, Object

Status = Literal["queued", "sending", "submitted", "sent", "bounced", "failed", "needs_review", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderView:
    """A header of the sender's own."""

    name: str
    value: str


Importance = Literal["low", "normal", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedView:
    """A letter as it was accepted: the same for every use of its Idempotency-Key, so `status` is always `queued`.

    `GET` its `Location` says how it stands now. `note` is something to know for next time.
    """

    id: str
    status: Literal["queued"]
    thread_id: str
    created_at: datetime
    note: str | None = None


WITHOUT_KEY: Final = (
    "This was posted without an Idempotency-Key: posting it again, after a lost answer too, makes a second letter."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterView:
    """A letter and how it stands. `problem` says why it waits, failed, or needs a person.

    `graph_id`, `conversation_id` and `internet_message_id` are Microsoft's, once it has given them.
    """

    id: str
    thread_id: str
    status: Status
    from_: Address | None
    to: Sequence[Address]
    cc: Sequence[Address]
    bcc: Sequence[Address]
    reply_to: Sequence[Address]
    subject: str
    preview: str
    attachments: Sequence[Attachment]
    objects: Sequence[Object]
    created_by: str | None
    importance: Importance
    headers: Sequence[HeaderView]
    metadata: dict[str, Any]
    in_reply_to: str | None
    batch_id: str | None
    send_at: datetime | None
    problem: dict[str, Any] | None
    graph_id: str | None
    conversation_id: str | None
    internet_message_id: str | None
    next_attempt_at: datetime | None
    submitted_at: datetime | None
    sent_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeMessageView(MessageView):
    """A message of either direction, whole. The last fields are of letters that went through the outbox, else null."""

    bcc: Sequence[Address]
    reply_to: Sequence[Address]
    objects: Sequence[Object]
    conversation_id: str | None
    created_at: datetime
    importance: str | None
    metadata: dict[str, Any] | None
    in_reply_to: str | None
    batch_id: str | None
    send_at: datetime | None
    next_attempt_at: datetime | None
    submitted_at: datetime | None


def accepted_view(letter: Letter, *, with_key: bool) -> AcceptedView:
    """The letter as it was when it was accepted."""
    return AcceptedView(
        id=letter.message_id,
        status="queued",
        thread_id=letter.thread_id,
        created_at=letter.created_at,
        note=None if with_key else WITHOUT_KEY,
    )


def whole_message(tx: Transaction, account_id: str, message_id: str) -> WholeMessageView:
    """One message. Raises `NotFound`, also while it is held for review: nobody has said that it belongs here."""
    message = messages.get(tx, account_id, message_id)
    if message.placement is not Placement.PLACED:
        raise NotFound("There is no such message.")
    view, letter = message_view(message), outbox.find(tx, message_id)
    return WholeMessageView(
        **{field.name: getattr(view, field.name) for field in fields(view)},
        bcc=message.recipients.bcc,
        reply_to=message.recipients.reply_to,
        objects=threads.objects_of(tx, message.thread_id),
        conversation_id=message.conversation_id,
        created_at=message.created_at,
        importance=None if letter is None else letter.importance,
        metadata=None if letter is None else letter.metadata,
        in_reply_to=None if letter is None else letter.in_reply_to,
        batch_id=None if letter is None else letter.batch_id,
        send_at=None if letter is None else letter.send_at,
        next_attempt_at=None if letter is None else letter.next_attempt_at,
        submitted_at=None if letter is None else letter.submitted_at,
    )


def newest_letters(
    tx: Transaction,
    account_id: str,
    *,
    before_id: str | None,
    limit: int,
    batch_id: str | None = None,
    mailbox_ids: Collection[str] | None = None,
) -> Sequence[LetterView]:
    """Newest first: all, or those of a batch, or from some mailboxes."""
    found = feeds.letters(tx, account_id, before_id=before_id, limit=limit, batch_id=batch_id, mailbox_ids=mailbox_ids)
    return [_letter_view(tx, one) for one in found]


def _letter_view(tx: Transaction, message: messages.Message) -> LetterView:
    letter = outbox.get(tx, message.account_id, message.id)
    status: Any = shown(letter.state)
    importance: Any = letter.importance
    return LetterView(
        id=message.id,
        thread_id=message.thread_id,
        status=status,
        from_=message.sender,
        to=message.recipients.to,
        cc=message.recipients.cc,
        bcc=message.recipients.bcc,
        reply_to=message.recipients.reply_to,
        subject=message.subject,
        preview=message.preview,
        attachments=message.attachments,
        objects=threads.objects_of(tx, message.thread_id),
        created_by=message.created_by,
        importance=importance,
        headers=[HeaderView(name=name, value=value) for name, value in letter.headers],
        metadata=letter.metadata,
        in_reply_to=letter.in_reply_to,
        batch_id=letter.batch_id,
        send_at=letter.send_at,
        problem=letter.problem,
        graph_id=message.graph_id,
        conversation_id=message.conversation_id,
        internet_message_id=message.internet_message_id,
        next_attempt_at=letter.next_attempt_at,
        submitted_at=letter.submitted_at,
        sent_at=letter.sent_at,
        created_at=letter.created_at,
    )
