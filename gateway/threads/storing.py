"""From Graph's words to our records: what of a mail is kept, and whether it is kept already."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from gateway.graph import AttachmentInfo, AttachmentKind, Recipient
from gateway.graph import Message as Item
from gateway.threads.before import Before
from gateway.threads.matching import same_address, usable_message_id
from gateway.threads.sift import Watched
from gateway.threads.wording import NO_BODY, Wording
from storage import Transaction, acts, identities, messages
from storage.ids import new_id
from storage.messages import Attachment, Direction, Kind, Message, Placement, Recipients
from storage.origins import Origin
from storage.threads import Address

ATTACHMENT_KINDS: Final = {AttachmentKind.ITEM: "item", AttachmentKind.REFERENCE: "reference"}


class Outcome(StrEnum):
    """What became of a mail."""

    STORED = "stored"
    NOT_OURS = "not_ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """`thread_id` names the thread that has changed. `remembered`: its conversation has just become that thread's.

    `seen_sent`: it is a letter of ours, which was not known to be sent before, by the request that it was posted by.
    """

    outcome: Outcome
    thread_id: str | None = None
    remembered: bool = False
    seen_sent: tuple[str, Origin] | None = None


def as_message(
    watched: Watched,
    item: Item,
    thread_id: str,
    *,
    direction: Direction,
    kind: Kind,
    placement: Placement,
    evidence: dict[str, Any],
    words: Wording,
    now: datetime,
) -> Message:
    """The record of a mail that was read whole, and what it says."""
    body = item.body or NO_BODY
    happened = item.received_at or item.sent_at if direction is Direction.IN else item.sent_at or item.received_at
    return Message(
        id=new_id("msg", now),
        account_id=watched.mailbox.account_id,
        mailbox_id=watched.mailbox.id,
        thread_id=thread_id,
        direction=direction,
        kind=kind,
        placement=placement,
        graph_id=item.id,
        conversation_id=item.conversation_id or None,
        internet_message_id=usable_message_id(item.internet_message_id),
        subject=item.subject or "",
        sender=sender_of(item),
        recipients=Recipients(
            to=people(item.to), cc=people(item.cc), bcc=people(item.bcc), reply_to=people(item.reply_to)
        ),
        body_type=messages.BodyType(body.content_type.value),
        body=body.content,
        preview=words.preview,
        attachments=attachments(item),
        evidence=evidence,
        created_by=None,
        message_at=happened or now,
        created_at=now,
        new_text=words.new_text,
        new_html=words.new_html,
    )


def sender_of(item: Item) -> Address | None:
    """Who the mail says it is from; None when it does not say."""
    return next(iter(people((item.from_,) if item.from_ else ())), None)


def people(recipients: tuple[Recipient, ...] | None) -> tuple[Address, ...]:
    """Those who have an address."""
    return tuple(Address(name=one.name, address=one.address) for one in recipients or () if one.address)


def attachments(item: Item) -> tuple[Attachment, ...]:
    """What is known of the attachments; their bytes stay in the mailbox."""
    return tuple(_attachment(one) for one in item.attachments or ())


def _attachment(info: AttachmentInfo) -> Attachment:
    return Attachment(
        id=info.id,
        name=info.name or "",
        content_type=info.content_type or "application/octet-stream",
        size=info.size or 0,
        is_inline=info.is_inline,
        content_id=info.content_id,
        kind=ATTACHMENT_KINDS.get(info.kind, "file"),
    )


def stored_copies(tx: Transaction, watched: Watched, item: Item, direction: Direction, before: Before) -> list[Message]:
    """What is stored of the same mail already, under another Graph id, oldest first.

    The same Message-ID and sender in another mailbox of ours, or on the other side of this one, are the same mail.
    In one folder two mails may share a Message-ID, by a fault of whoever sent them: only equal ones are the same.
    """
    message_id = usable_message_id(item.internet_message_id)
    sender = sender_of(item)
    if message_id is None or sender is None or message_id not in before.message_ids:
        return []
    account_id = watched.mailbox.account_id
    return [
        stored
        for stored in identities.by_internet_message_id(tx, account_id, message_id)
        if stored.sender is not None
        and same_address(stored.sender.address, sender.address)
        and (
            (stored.mailbox_id, stored.direction) != (watched.mailbox.id, direction)
            or (stored.subject, stored.body) == (item.subject or "", item.body.content if item.body else "")
        )
    ]


def homes_of(tx: Transaction, stored: Message) -> set[str]:
    """The threads that a stored mail may be judged into as itself: its own, and those that people took it out of."""
    return {stored.thread_id, *(act.before.thread_id for act in acts.of_message(tx, stored.id))}


def says_more(stored: Message, thread_mailbox_id: str, mailbox_id: str, direction: Direction) -> bool:
    """Whether another copy of a stored mail should stand for it, so that it matters not which came first.

    The copy in the thread's own mailbox tells how the thread sees it; there, Sent Items tell more than the Inbox,
    which believes what a mail says of its sender. A letter from our outbox is what it is.
    """
    if stored.status is not None:
        return False
    here = (mailbox_id == thread_mailbox_id, direction is Direction.OUT)
    return here > (stored.mailbox_id == thread_mailbox_id, stored.direction is Direction.OUT)


def adopt(tx: Transaction, watched: Watched, item: Item, stored: Message, direction: Direction) -> None:
    """Let the stored mail stand for this copy."""
    identities.adopt(
        tx,
        stored.id,
        mailbox_id=watched.mailbox.id,
        graph_id=item.id,
        conversation_id=item.conversation_id,
        direction=direction,
    )
