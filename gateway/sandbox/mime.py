"""Messages as RFC 5322 text: what `/$value` shows, what MIME posts are read from."""

import email
import email.policy
import email.utils
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage

from gateway.sandbox.model import Address, Body, Message
from gateway.sandbox.text import as_text

_SMTP = email.policy.SMTP


def render(message: Message) -> bytes:
    """The whole message. What came over the wire comes out as it came."""
    if message.mime is not None:
        return message.mime
    out = EmailMessage(policy=_SMTP)
    if message.from_ is not None:
        out["From"] = _addresses([message.from_])
    for name, people in (("To", message.to), ("Cc", message.cc), ("Bcc", message.bcc), ("Reply-To", message.reply_to)):
        if people:
            out[name] = _addresses(people)
    out["Subject"] = " ".join(message.subject.splitlines())
    out["Message-ID"] = message.internet_message_id
    out["Date"] = email.utils.format_datetime(message.sent_date_time)
    if message.in_reply_to:
        out["In-Reply-To"] = message.in_reply_to
    if message.references:
        out["References"] = " ".join(message.references)
    for name, value in message.headers:
        if name.lower() not in {key.lower() for key in out} | {"content-type", "mime-version"}:
            out[name] = value
    out.set_content(as_text(message.body))
    if message.body.content_type == "html":
        out.add_alternative(message.body.content, subtype="html")
    for attachment in message.attachments.values():
        kind, _, subtype = attachment.content_type.partition("/")
        out.add_attachment(
            attachment.content,
            maintype=kind or "application",
            subtype=subtype or "octet-stream",
            disposition="inline" if attachment.is_inline else "attachment",
            filename=attachment.name,
            cid=f"<{attachment.content_id}>" if attachment.content_id else None,
        )
    return out.as_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """An attachment of a parsed message."""

    name: str
    content_type: str
    content: bytes
    content_id: str | None
    is_inline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedMail:
    """What Graph takes from a message that was posted as MIME."""

    subject: str
    body: Body
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    internet_message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    files: tuple[ParsedFile, ...]


def parse(source: bytes) -> ParsedMail:
    """Read a message. Total: what is missing is empty."""
    mail = email.message_from_bytes(source, policy=_SMTP)
    text = mail.get_body(preferencelist=("html", "plain"))
    files = tuple(
        ParsedFile(
            name=part.get_filename() or "attachment",
            content_type=part.get_content_type(),
            content=_bytes_of(part),
            content_id=(part["Content-ID"] or "").strip("<> ") or None,
            is_inline=part.get_content_disposition() == "inline",
        )
        for part in mail.iter_attachments()
    )
    return ParsedMail(
        subject=str(mail["Subject"] or ""),
        body=Body(
            content_type="html" if text is not None and text.get_content_subtype() == "html" else "text",
            content=text.get_content() if text is not None else "",
        ),
        to=_people(mail, "To"),
        cc=_people(mail, "Cc"),
        bcc=_people(mail, "Bcc"),
        reply_to=_people(mail, "Reply-To"),
        internet_message_id=str(mail["Message-ID"]).strip() if mail["Message-ID"] else None,
        in_reply_to=str(mail["In-Reply-To"]).strip() if mail["In-Reply-To"] else None,
        references=tuple(str(mail["References"] or "").split()),
        headers=tuple((name, str(value)) for name, value in mail.items() if name.lower().startswith("x-")),
        files=files,
    )


def _bytes_of(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _addresses(people: Iterable[Address]) -> str:
    return ", ".join(email.utils.formataddr((person.name or "", person.address)) for person in people)


def _people(mail: EmailMessage, header: str) -> tuple[Address, ...]:
    values = [str(value) for value in mail.get_all(header, [])]
    return tuple(Address(name=name or None, address=address) for name, address in email.utils.getaddresses(values))
