"""The ledger: what has really left, seen from outside."""

from dataclasses import dataclass
from datetime import datetime

from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A message that has really left: what a test asks whether something was sent, and how often.

    A letter that was over the limit of recipients has not left. Blind copies are told here, and nowhere else.
    """

    sent_at: datetime
    mailbox: str
    subject: str
    recipients: tuple[str, ...]
    """Every address: to, cc and bcc."""
    internet_message_id: str
    extended_properties: dict[str, str]


def entry(mailbox: Mailbox, sent: Message) -> LedgerEntry:
    """The entry for a message that leaves this mailbox."""
    return LedgerEntry(
        sent_at=sent.sent_date_time,
        mailbox=mailbox.user.mail,
        subject=sent.subject,
        recipients=tuple(person.address for person in sent.recipients),
        internet_message_id=sent.internet_message_id,
        extended_properties=dict(sent.extended_properties),
    )
