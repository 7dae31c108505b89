"""Taking a letter in, and what people may do with it afterwards. Each function is one transaction's work."""

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gateway.sending import machine
from gateway.sending.machine import State
from gateway.sending.record import tell, write_down
from gateway.threads.html import html_as_text, preview_of
from storage import Transaction, mailboxes, messages, outbox, threads
from storage.ids import new_id
from storage.mailboxes import Mailbox, MailboxState
from storage.messages import Attachment, BodyType, Direction, Kind, Message, Placement, Recipients
from storage.outbox import LetterAttachment
from storage.threads import Address, Object


class LetterRefused(Exception):
    """The letter cannot be taken; the text is a sentence for people. Nothing of it is kept."""


class UnknownMailbox(LetterRefused):
    """The sender is not one of the account's mailboxes."""


class MailboxNotValidated(LetterRefused):
    """The sender's mailbox has not been proved to work, or has ceased to."""


class KeyReused(LetterRefused):
    """The idempotency key was used for another letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLetter:
    """A letter as SELMA posted it, every value already checked at the edge. `sender` is a mailbox's address.

    `send_at` is aware; None, or a time that has passed, means now.
    """

    sender: str
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str
    body_type: BodyType
    body: str
    attachments: tuple[LetterAttachment, ...] = ()
    objects: tuple[Object, ...] = ()
    created_by: str | None = None
    importance: str = "normal"
    metadata: dict[str, Any] = field(default_factory=dict)
    send_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`repeated`: this key brought this letter before, and nothing new was done."""

    message_id: str
    repeated: bool


NOT_VALIDATED: Final = {
    MailboxState.ADDED: "has not been validated yet. Validate it under Mailbox Set-up, then post the letter again.",
    MailboxState.REFUSED: "failed its validation. Mailbox Set-up says what is wrong with it; validate it anew.",
}


def accept(
    tx: Transaction, account_id: str, letter: NewLetter, *, idempotency_key: str | None, now: datetime
) -> Accepted:
    """Take the letter in: once this is committed, it will be sent or somebody will hear why not.

    The same key with the same letter is answered as the first time, for as long as the letter is kept.
    Raises `KeyReused`, `UnknownMailbox`, `MailboxNotValidated`.
    """
    print_of_it = fingerprint(letter)
    if idempotency_key is not None:
        known = outbox.recall_key(tx, account_id, idempotency_key)
        if known is not None and known.fingerprint == print_of_it:
            return Accepted(message_id=known.message_id, repeated=True)
        if known is not None:
            raise KeyReused("This Idempotency-Key was used before, for another letter. Use a new key for each letter.")
    mailbox = _usable_mailbox(tx, account_id, letter.sender)
    message_id = _store(tx, mailbox, letter, now)
    if idempotency_key is not None:
        outbox.remember_key(tx, account_id, idempotency_key, fingerprint=print_of_it, message_id=message_id, now=now)
    tell(tx, outbox.get(tx, account_id, message_id), now)
    return Accepted(message_id=message_id, repeated=False)


def fingerprint(letter: NewLetter) -> bytes:
    """What makes two posted letters the same: SHA-256 of all they say, attachments by their own SHA-256."""
    said = asdict(letter) | {
        "sender": letter.sender.casefold(),
        "attachments": [_digested(one) for one in letter.attachments],
        "send_at": None if letter.send_at is None else letter.send_at.astimezone(UTC),
    }
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def cancel(tx: Transaction, account_id: str, message_id: str, *, now: datetime) -> None:
    """Do not send a letter that has not left. Raises `storage.NotFound`, `storage.Conflict`."""
    letter = outbox.get(tx, account_id, message_id)
    write_down(tx, letter, machine.cancel(letter, now), now)


def retry(tx: Transaction, account_id: str, message_id: str, *, now: datetime) -> None:
    """Send a failed letter after all; or, as a person's choice, one that needs review anew, with a new tag.

    Of the latter nobody knows whether it left, so the new one may be a second. Raises `storage.NotFound`, `Conflict`.
    """
    letter = outbox.get(tx, account_id, message_id)
    if letter.state != State.NEEDS_REVIEW:
        write_down(tx, letter, machine.retry(letter, now), now, retried=True)
        return
    again = machine.resend(letter, str(uuid.uuid4()), now)
    outbox.renew_send_uid(tx, message_id, again.send_uid)
    messages.forget_item(tx, message_id)
    write_down(tx, letter, again, now, resent=True)


def close(tx: Transaction, account_id: str, message_id: str, *, now: datetime) -> None:
    """Leave a letter that needs review as it is. Raises `storage.NotFound`, `storage.Conflict`."""
    letter = outbox.get(tx, account_id, message_id)
    write_down(tx, letter, machine.close(letter, now), now)


def _usable_mailbox(tx: Transaction, account_id: str, address: str) -> Mailbox:
    mailbox = mailboxes.find(tx, account_id, address)
    if mailbox is None:
        raise UnknownMailbox(f"{address} is not one of this account's mailboxes. Add it under Mailbox Set-up.")
    if mailbox.state is not MailboxState.VALIDATED:
        raise MailboxNotValidated(f"The mailbox {mailbox.address} {NOT_VALIDATED[mailbox.state]}")
    return mailbox


def _store(tx: Transaction, mailbox: Mailbox, letter: NewLetter, now: datetime) -> str:
    account_id = mailbox.account_id
    thread_id = threads.create(tx, account_id, mailbox.id, subject=letter.subject, now=now)
    threads.link(tx, account_id, thread_id, letter.objects)
    threads.add_participants(tx, account_id, thread_id, _outsiders(mailbox, letter))
    message = _message(mailbox, thread_id, letter, now)
    messages.insert(tx, message)
    outbox.insert(
        tx,
        message_id=message.id,
        account_id=account_id,
        mailbox_id=mailbox.id,
        send_uid=str(uuid.uuid4()),
        importance=letter.importance,
        metadata=letter.metadata,
        state=State.ACCEPTED.value,
        attachments=letter.attachments,
        next_attempt_at=max(letter.send_at or now, now),
        now=now,
    )
    threads.summarise(tx, thread_id)
    return message.id


def _message(mailbox: Mailbox, thread_id: str, letter: NewLetter, now: datetime) -> Message:
    text = html_as_text(letter.body) if letter.body_type is BodyType.HTML else letter.body
    return Message(
        id=new_id("msg", now),
        account_id=mailbox.account_id,
        mailbox_id=mailbox.id,
        thread_id=thread_id,
        direction=Direction.OUT,
        kind=Kind.MAIL,
        placement=Placement.PLACED,
        graph_id=None,
        conversation_id=None,
        internet_message_id=None,
        subject=letter.subject,
        sender=Address(name=mailbox.display_name, address=mailbox.address),
        recipients=Recipients(to=letter.to, cc=letter.cc, bcc=letter.bcc, reply_to=letter.reply_to),
        body_type=letter.body_type,
        body=letter.body,
        preview=preview_of(text),
        attachments=tuple(_described(one) for one in letter.attachments),
        evidence=None,
        created_by=letter.created_by,
        message_at=now,
        created_at=now,
    )


def _outsiders(mailbox: Mailbox, letter: NewLetter) -> Iterable[Address]:
    """Whoever may be expected to write in: everybody addressed, also in bcc, and where replies are asked to go."""
    everybody = (*letter.reply_to, *letter.bcc, *letter.cc, *letter.to)
    return (one for one in everybody if one.address.casefold() != mailbox.address.casefold())


def _described(attachment: LetterAttachment) -> Attachment:
    return Attachment(
        id=None,
        name=attachment.name,
        content_type=attachment.content_type,
        size=len(attachment.content),
        is_inline=attachment.content_id is not None,
        content_id=attachment.content_id,
    )


def _digested(attachment: LetterAttachment) -> dict[str, Any]:
    named = asdict(replace(attachment, content=b""))
    return named | {"content": hashlib.sha256(attachment.content).hexdigest()}
