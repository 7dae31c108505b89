"""One message as a file: RFC 5322, and its place in an mbox (RFC 4155, with the quoting known as mboxrd)."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import IO, Final

from storage.messages import BodyType, Message
from storage.threads import Address

QUOTED: Final = re.compile(rb"^>*From ", re.MULTILINE)
UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")
LONGEST_NAME: Final = 100


def made(message: Message, attached: Sequence[str]) -> bytes:
    """A message as the gateway has it, for when its mailbox has it no more. `attached` are names of files beside it."""
    out = EmailMessage(policy=SMTP)
    people = message.recipients
    sender = (message.sender,) if message.sender is not None else ()
    groups = (
        ("From", sender),
        ("To", people.to),
        ("Cc", people.cc),
        ("Bcc", people.bcc),
        ("Reply-To", people.reply_to),
    )
    for name, group in groups:
        if group:
            out[name] = ", ".join(_spelled(one) for one in group)
    out["Subject"] = " ".join(message.subject.split())
    out["Date"] = format_datetime(message.message_at)
    if message.internet_message_id is not None:
        out["Message-ID"] = message.internet_message_id
    out["X-Selma-Gateway"] = f"made from what the gateway has of {message.id}"
    for name in attached:
        out["X-Selma-Gateway-Attachment"] = " ".join(name.split())
    out.set_content(message.body, subtype="html" if message.body_type is BodyType.HTML else "plain")
    return out.as_bytes()


def _spelled(person: Address) -> str:
    return formataddr((" ".join((person.name or "").split()), person.address))


def append(mbox: IO[bytes], lines: Iterable[bytes], *, at: datetime) -> None:
    """Add a message to an mbox."""
    mbox.write(b"From selma-gateway " + at.strftime("%a %b %d %H:%M:%S %Y").encode() + b"\n")
    last = b"\n"
    for line in lines:
        last = line.replace(b"\r\n", b"\n")
        mbox.write(b">" + last if QUOTED.match(last) else last)
    mbox.write(b"\n" if last.endswith(b"\n") else b"\n\n")


def safe_name(name: str) -> str:
    """What can be the name of a file anywhere, and leads out of no folder."""
    return UNSAFE.sub("_", name).strip(". ")[:LONGEST_NAME] or "file"
