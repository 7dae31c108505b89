"""The ledger: what has really left, seen from outside."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Address, Attachment, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFile:
    """An attachment as it left: its true size in bytes, and its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A message that has really left: what a test asks whether something was sent, how often, and what was in it.

    A letter that was over the limit of recipients has not left. Blind copies are told here, and nowhere else.
    """

    sent_at: datetime
    mailbox: str
    subject: str
    recipients: tuple[str, ...]
    """Every address: to, cc and bcc."""
    internet_message_id: str
    extended_properties: dict[str, str]
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    importance: str = "normal"
    in_reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """The x- headers that it was made with, in order."""
    attachments: tuple[LedgerFile, ...] = ()


def entry(mailbox: Mailbox, sent: Message) -> LedgerEntry:
    """The entry for a message that leaves this mailbox."""
    return LedgerEntry(
        sent_at=sent.sent_date_time,
        mailbox=mailbox.user.mail,
        subject=sent.subject,
        recipients=tuple(person.address for person in sent.recipients),
        internet_message_id=sent.internet_message_id,
        extended_properties=dict(sent.extended_properties),
        to=sent.to,
        cc=sent.cc,
        bcc=sent.bcc,
        reply_to=sent.reply_to,
        importance=sent.importance,
        in_reply_to=sent.in_reply_to,
        headers=sent.headers,
        attachments=tuple(_file(attachment) for attachment in sent.attachments.values()),
    )


def _file(attachment: Attachment) -> LedgerFile:
    return LedgerFile(
        name=attachment.name,
        size=len(attachment.content),
        sha256=hashlib.sha256(attachment.content).hexdigest(),
    )
