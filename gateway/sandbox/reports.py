"""Reports as machines write them to the sender: Exchange Online, the recipient's mail system, a mail program."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.sandbox import report_mime
from gateway.sandbox.model import Address, Body, Letter
from gateway.sandbox.report_mime import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a letter did not arrive: an enhanced status code (RFC 3463) and Exchange's words for it."""

    status: str
    reason: str


RECIPIENT_LIMIT: Final = Failure(
    status="5.1.90",
    reason="Your message can't be sent because you've reached your daily limit for message recipients.",
)
"""SupportArticles, "NDR and SMTP errors in Exchange Online". It is about the sender, not the recipients."""


def not_found(address: str) -> Failure:
    return Failure(status="5.1.10", reason=f"{address} wasn't found at {address.rpartition('@')[2]}.")


def non_delivery(
    letter: Letter, failure: Failure, *, recipients: Sequence[str], postmaster: str, now: datetime, message_id: str
) -> Letter:
    """The report about `recipients` of a letter, on its way to who sent it."""
    subject = f"Undeliverable: {letter.subject}"
    named = ", ".join(recipients)
    outcome = Outcome(
        recipients=recipients,
        action="failed",
        status=failure.status,
        diagnostic=f"550 {failure.status} {failure.reason}",
    )
    return Letter(
        sent_at=now,
        internet_message_id=message_id,
        from_=Address(name="Microsoft Outlook", address=postmaster),
        to=(letter.from_,),
        envelope=(letter.from_.address,),
        subject=subject,
        body=Body(content=f"<p>Your message to {named} couldn't be delivered.</p><p>{failure.reason}</p>"),
        in_reply_to=letter.internet_message_id,
        references=(letter.internet_message_id,),
        headers=(("Auto-Submitted", "auto-replied"),),
        message_class="REPORT.IPM.Note.NDR",
        mime=report_mime.delivery_report(
            letter,
            outcome,
            reporter=postmaster,
            subject=subject,
            notice=f"Your message to {named} couldn't be delivered. {failure.reason}",
            now=now,
            headers=(
                ("In-Reply-To", letter.internet_message_id),
                ("References", letter.internet_message_id),
                ("Auto-Submitted", "auto-replied"),
            ),
        ),
    )


MAILBOX_FULL: Final = Failure(status="5.2.2", reason="The mailbox is full.")
NOT_YET: Final = Failure(status="4.4.1", reason="The server does not answer; trying again for 5 days.")


def by_their_system(letter: Letter, failure: Failure, *, recipient: str, now: datetime, message_id: str) -> Letter:
    """As the recipient's own mail system writes it, which answers nothing: the letter is named in the report alone.

    Exchange gives it a class by its worst action when it comes in (MS-OXCMAIL 2.2.3.7.1.1).
    """
    is_late = failure.status.startswith("4")
    action, code = ("delayed", "451") if is_late else ("failed", "552")
    reporter = f"MAILER-DAEMON@{recipient.rpartition('@')[2]}"
    subject = "Delayed Mail (still being retried)" if is_late else "Undelivered Mail Returned to Sender"
    notice = f"The mail system: <{recipient}>: host said: {code} {failure.status} {failure.reason}"
    headers = (("Return-Path", "<>"), ("Auto-Submitted", "auto-replied"))
    return Letter(
        sent_at=now,
        internet_message_id=message_id,
        from_=Address(name="Mail Delivery System", address=reporter),
        to=(letter.from_,),
        envelope=(letter.from_.address,),
        subject=subject,
        body=Body(content_type="text", content=notice),
        headers=headers,
        message_class=f"REPORT.IPM.Note.{'Delayed.DR' if is_late else 'NDR'}",
        mime=report_mime.delivery_report(
            letter,
            Outcome(
                recipients=(recipient,),
                action=action,
                status=failure.status,
                diagnostic=f"{code} {failure.status} {failure.reason}",
            ),
            reporter=reporter,
            subject=subject,
            notice=notice,
            now=now,
            headers=headers,
        ),
    )


def read_receipt(letter: Letter, reader: Address, *, now: datetime, message_id: str) -> Letter:
    """What a mail program sends for somebody who has opened the letter (MS-OXOMSG 2.2.2.1)."""
    return Letter(
        sent_at=now,
        internet_message_id=message_id,
        from_=reader,
        to=(letter.from_,),
        envelope=(letter.from_.address,),
        subject=f"Read: {letter.subject}",
        body=Body(content_type="text", content="Your message was read."),
        in_reply_to=letter.internet_message_id,
        references=(letter.internet_message_id,),
        message_class="REPORT.IPM.Note.IPNRN",
        mime=report_mime.read_receipt(letter, reader=reader.address, now=now),
    )


def acceptance(letter: Letter, guest: Address, *, now: datetime, message_id: str) -> Letter:
    """What a calendar sends for somebody who accepts (MS-OXOCAL 2.2.7)."""
    return Letter(
        sent_at=now,
        internet_message_id=message_id,
        from_=guest,
        to=(letter.from_,),
        envelope=(letter.from_.address,),
        subject=f"Accepted: {letter.subject}",
        in_reply_to=letter.internet_message_id,
        references=(letter.internet_message_id,),
        message_class="IPM.Schedule.Meeting.Resp.Pos",
    )
