"""Reports as they come over the wire: of delivery (RFC 3464) and of reading (RFC 8098), with the letter's headers."""

import email.utils
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header as EmailHeader
from typing import Final

from gateway.sandbox.model import Letter

BOUNDARY: Final = "_a_report_by_the_sandbox_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a letter on its way to some recipients: RFC 3464 section 2.3."""

    recipients: Sequence[str]
    action: str
    status: str
    diagnostic: str


def delivery_report(
    letter: Letter,
    outcome: Outcome,
    *,
    reporter: str,
    subject: str,
    notice: str,
    now: datetime,
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A delivery status notification about some recipients of a letter."""
    about = (line for recipient in outcome.recipients for line in _of_recipient(recipient, outcome))
    domain = reporter.rpartition("@")[2]
    return _report(
        letter,
        reporter=reporter,
        subject=subject,
        headers=headers,
        report_type="delivery-status",
        now=now,
        notice=notice,
        fields=(f"Reporting-MTA: dns;{domain}", f"Arrival-Date: {_date(letter.sent_at)}", "", *about),
    )


def read_receipt(letter: Letter, *, reader: str, now: datetime) -> bytes:
    """A message disposition notification: somebody has opened the letter."""
    return _report(
        letter,
        reporter=reader,
        subject=f"Read: {letter.subject}",
        headers=(("In-Reply-To", letter.internet_message_id), ("References", letter.internet_message_id)),
        report_type="disposition-notification",
        now=now,
        notice=f"Your message was read on {_date(now)}.",
        fields=(
            f"Final-Recipient: rfc822;{reader}",
            f"Original-Message-ID: {letter.internet_message_id}",
            "Disposition: automatic-action/MDN-sent-automatically; displayed",
            "",
        ),
    )


def _report(
    letter: Letter,
    *,
    reporter: str,
    subject: str,
    headers: Sequence[tuple[str, str]],
    report_type: str,
    now: datetime,
    notice: str,
    fields: Sequence[str],
) -> bytes:
    lines = (
        f"From: {reporter}",
        f"To: {letter.from_.address}",
        f"Subject: {EmailHeader(subject).encode()}",
        f"Date: {_date(now)}",
        *(f"{name}: {value}" for name, value in headers),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={report_type}; boundary="{BOUNDARY}"',
        "",
        f"--{BOUNDARY}",
        "Content-Type: text/plain; charset=utf-8",
        "",
        notice,
        "",
        f"--{BOUNDARY}",
        f"Content-Type: message/{report_type}",
        "",
        *fields,
        f"--{BOUNDARY}",
        "Content-Type: text/rfc822-headers",
        "",
        f"From: {letter.from_.address}",
        f"To: {', '.join(person.address for person in letter.to)}",
        f"Subject: {EmailHeader(letter.subject).encode()}",
        f"Message-ID: {letter.internet_message_id}",
        *(f"{name}: {value}" for name, value in letter.headers),
        "",
        f"--{BOUNDARY}--",
        "",
    )
    return "\r\n".join(lines).encode()


def _of_recipient(recipient: str, outcome: Outcome) -> tuple[str, ...]:
    return (
        f"Final-Recipient: rfc822;{recipient}",
        f"Action: {outcome.action}",
        f"Status: {outcome.status}",
        f"Diagnostic-Code: smtp;{outcome.diagnostic}",
        "",
    )


def _date(moment: datetime) -> str:
    return email.utils.format_datetime(moment)
