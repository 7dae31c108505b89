"""Reports and what is none, as mail systems word them: each short, and made up here."""

from dataclasses import dataclass, field

ID = "<letter-1@school.example>"
TO = "aroha@student.example"
RETURNED = f"""From: admissions@school.example
To: {TO}
Subject: Your enrolment
Message-ID: {ID}
Date: Mon, 2 Mar 2026 09:00:00 +0000
"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A mail, and what is to be read in it. `nature` None: it is no report."""

    name: str
    head: str
    body: str
    nature: str | None
    recipient: str | None = None
    status: str | None = None
    names_the_letter: bool = True
    kind: str = field(default="")

    @property
    def mime(self) -> bytes:
        return f"{self.head.strip()}\n\n{self.body}".encode()


def report(
    name: str, fields: str, nature: str, *, status: str | None = None, recipient: str | None = TO, notice: str = ""
) -> Sample:
    """A report with the parts of RFC 3464."""
    body = f"""--x
Content-Type: text/plain

{notice or "Something happened to your letter."}

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.student.example

{fields}

--x
Content-Type: message/rfc822

{RETURNED}
Kia ora
--x--
"""
    head = 'From: <mailer-daemon@mx.example>\nContent-Type: multipart/report; report-type=delivery-status; boundary="x"'
    return Sample(name=name, head=head, body=body, nature=nature, status=status, recipient=recipient)


def notice(
    name: str,
    text: str,
    *,
    status: str | None,
    nature: str = "failed",
    sender: str = "MAILER-DAEMON@mx.example",
    subject: str = "failure notice",
    head: str = "",
    marker: str = "--- Below this line is a copy of the letter.",
    returned: bool = True,
) -> Sample:
    """A report in prose."""
    return Sample(
        name=name,
        head=f"From: {sender}\nTo: admissions@school.example\nSubject: {subject}\n{head}",
        body=f"{text}\n\n{marker}\n\n{RETURNED}\nKia ora\n" if returned else text,
        nature=nature,
        recipient=TO,
        status=status,
        names_the_letter=returned,
    )


FORMAL = [
    report("all fields", f"Final-Recipient: rfc822; {TO}\nAction: failed\nStatus: 5.1.1", "failed", status="5.1.1"),
    report(
        "the answer is more exact than the status",
        f"Final-Recipient: rfc822; {TO}\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.7.26 no proof",
        "failed",
        status="5.7.26",
    ),
    report(
        "an answer over several lines",
        f"Final-Recipient: rfc822; {TO}\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 552-the mailbox\n"
        "    552 5.2.2 is full",
        "failed",
        status="5.2.2",
    ),
    report(
        "forwarded to somewhere else",
        f"Original-Recipient: rfc822;{TO}\nFinal-Recipient: rfc822;a@elsewhere.example\nAction: failed\nStatus: 5.1.1",
        "failed",
        status="5.1.1",
    ),
    report("late", f"Final-Recipient: rfc822;{TO}\nAction: delayed\nStatus: 4.4.1", "delayed", status="4.4.1"),
    report("passed on", f"Final-Recipient: rfc822;{TO}\nAction: relayed\nStatus: 2.0.0", "delivered", status="2.0.0"),
    report("there", f"Final-Recipient: rfc822;{TO}\nAction: delivered\nStatus: 2.1.5", "delivered", status="2.1.5"),
    report(
        "late for one and lost for another: the gravest counts",
        f"Final-Recipient: rfc822;b@x.example\nAction: delayed\nStatus: 4.4.1\n\n"
        f"Final-Recipient: rfc822;{TO}\nAction: failed\nStatus: 5.1.1",
        "failed",
        status="5.1.1",
    ),
    report("no action", f"Final-Recipient: rfc822; {TO}\nStatus: 5.2.1", "failed", status="5.2.1"),
    report("an action in capitals, with a comment", f"Final-Recipient: {TO}\nAction: FAILED (bad address)", "failed"),
    report("fields torn apart", f"Action: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; {TO}", "failed"),
    report("an address in angle brackets", f"Final-Recipient: RFC822; <{TO}>\nAction: failed", "failed"),
    report(
        "an address of the internet is no code",
        f"Final-Recipient: rfc822;{TO}\nAction: failed\nDiagnostic-Code: smtp; 550 from 5.1.1.9 says no",
        "failed",
    ),
    report(
        "nothing in its fields but who reports",
        "X-Queue-Id: 7",
        "failed",
        notice=f"I'm sorry: your message could not be delivered.\n\n<{TO}>: 550 5.1.1 nobody here",
        status="5.1.1",
    ),
    Sample(
        name="a read receipt",
        head=f'From: {TO}\nContent-Type: multipart/report; report-type=disposition-notification; boundary="x"',
        body=f"--x\nContent-Type: message/disposition-notification\n\nOriginal-Message-ID: {ID}\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\n--x--",
        nature="read",
    ),
    Sample(
        name="deleted unread",
        head=f'From: {TO}\nContent-Type: multipart/report; report-type=disposition-notification; boundary="x"',
        body=f"--x\nContent-Type: message/disposition-notification\n\nOriginal-Message-ID: {ID}\n"
        "Disposition: automatic-action/MDN-sent-automatically; deleted\n--x--",
        nature="not_read",
    ),
    Sample(
        name="a complaint of spam",
        head='From: fbl@mx.example\nContent-Type: multipart/report; report-type=feedback-report; boundary="x"',
        body=f"--x\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n\n--x\n"
        f"Content-Type: message/rfc822\n\n{RETURNED}\n--x--",
        nature="complaint",
    ),
]

PROSE = [
    notice(
        "the terse one",
        f"Hello, this is the mail program of mx.example.\nI was unable to deliver your message.\n\n<{TO}>:\n"
        "said: 550 5.1.1 no such person. (#5.1.1)",
        status="5.1.1",
    ),
    notice(
        "the polite one",
        f"A message that you sent could not be delivered to one of its recipients:\n\n  {TO}\n"
        "    host mx.student.example: 552 5.2.2 mailbox full",
        status="5.2.2",
        head=f"X-Failed-Recipients: {TO}\nAuto-Submitted: auto-replied",
        subject="Mail delivery failed: returning message to sender",
    ),
    notice(
        "no code but words: full",
        f"Your message did not reach the following recipient:\n\n{TO}\n  The mailbox is full.",
        status="5.2.2",
        sender="System Administrator <postmaster@mx.example>",
        subject="Undeliverable: Your enrolment",
    ),
    notice("no code but words: unknown", f"Could not be delivered.\n\n{TO}\n  unknown user", status="5.1.1"),
    notice("no code but words: no host", f"Could not be delivered to {TO}: host not found", status="5.1.2"),
    notice("no code but words: size", f"Could not be delivered to {TO}: message too large", status="5.3.4"),
    notice("no code but words: refused", f"Could not be delivered to {TO}: blocked as spam", status="5.7.1"),
    notice("a plain code alone", f"Could not be delivered to {TO}: 554 we would rather not", status="5.0.0"),
    notice("nothing but the fact", f"Your message to {TO} could not be delivered.", status=None),
    notice(
        "late, in words",
        f"Your message to {TO} is delayed. You do not need to resend it; it will be retried for 4 days.",
        status=None,
        nature="delayed",
        subject="Delayed Mail",
    ),
    notice(
        "fields within prose",
        f"An error occurred.\n\nAction: failed\nFinal-Recipient: rfc822; {TO}\nStatus: 5.1.1",
        status="5.1.1",
        subject="Delivery Status Notification (Failure)",
    ),
    notice("a sender without an address", f"{TO}: not delivered, 550 5.1.1 unknown", status="5.1.1", sender="<>"),
    notice("nothing comes back", f"{TO} could not be reached: delivery failed", status=None, returned=False),
    notice("quoted", f"Delivery to {TO} failed permanently: 550 5.1.1", status="5.1.1", marker="> as it was"),
    notice("in Japanese", f"次のメールは送信できませんでした。\n{TO}\n550 5.1.1", status="5.1.1"),
    notice("in Russian", f"Ваше письмо не может быть доставлено: {TO}\n550 5.1.1", status="5.1.1"),
]

NO_REPORTS = [
    Sample(name="a letter", head=f"From: {TO}\nSubject: Re: Your enrolment", body="Thank you!", nature=None),
    Sample(
        name="a person asks about a bounce",
        head=f"From: {TO}\nSubject: Fwd: Undelivered Mail Returned to Sender",
        body=f"What is this?\n\n> could not be delivered\n> <{TO}>: 550 5.1.1\n> Action: failed\n",
        nature=None,
    ),
    Sample(
        name="a person passes a letter on",
        head=f'From: {TO}\nSubject: Fwd: undeliverable\nContent-Type: multipart/mixed; boundary="x"',
        body=f"--x\n\nSee below: it could not be delivered.\n--x\nContent-Type: message/rfc822\n\n{RETURNED}\n--x--",
        nature=None,
    ),
    Sample(
        name="somebody is away",
        head=f"From: {TO}\nReturn-Path: <>\nAuto-Submitted: auto-replied\nSubject: Away",
        body="I am away. Your message is not delivered to anybody else.",
        nature=None,
    ),
    Sample(
        name="a machine about something else",
        head="From: no-reply@shop.example\nSubject: Your order",
        body="Thank you for your order. It is on its way.",
        nature=None,
    ),
    Sample(name="nothing at all", head="", body="", nature=None),
]
