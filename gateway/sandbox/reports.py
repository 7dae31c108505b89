"""Reports of non-delivery as Exchange Online writes them to the sender."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.sandbox import mime
from gateway.sandbox.model import Address, Body, Letter


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
    reporter = Address(name="Microsoft Outlook", address=postmaster)
    named = ", ".join(recipients)
    return Letter(
        sent_at=now,
        internet_message_id=message_id,
        from_=reporter,
        to=(letter.from_,),
        envelope=(letter.from_.address,),
        subject=f"Undeliverable: {letter.subject}",
        body=Body(content=f"<p>Your message to {named} couldn't be delivered.</p><p>{failure.reason}</p>"),
        in_reply_to=letter.internet_message_id,
        references=(letter.internet_message_id,),
        headers=(("Auto-Submitted", "auto-replied"),),
        message_class="REPORT.IPM.Note.NDR",
        mime=mime.non_delivery_report(
            letter, recipients=recipients, reporter=postmaster, status=failure.status, reason=failure.reason
        ),
    )
