"""From the bytes of a mail to what it reports. Python's `email` parses; here it is read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from typing import Final

from gateway.sending.draft import SEND_UID_HEADER
from gateway.threads.html import html_as_text
from gateway.threads.matching import MESSAGE_ID
from gateway.threads.reports.fields import ADDRESS, LONGEST_VALUE, blocks_of, deliveries_of, nature_of
from gateway.threads.reports.model import Nature, Report
from gateway.threads.reports.notices import is_machine, read_notice, split_at_returned

LARGEST: Final = 256 * 1024  # bytes: what a report says stands before the letter that it returns
MOST_PARTS: Final = 100
MOST_TEXT: Final = 64 * 1024  # characters
STATUS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
RECEIPT: Final = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
COMPLAINT: Final = "message/feedback-report"
RETURNED: Final = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"}
)

Headers = Iterable[tuple[str, str]]

TELLING: Final = frozenset({"content-type", "x-failed-recipients", "from", "return-path", "auto-submitted"})


def may_be_report(*, message_class: str | None, headers: Headers) -> bool:
    """Whether it is worth its bytes to see what it reports. Says yes too often rather than too rarely.

    An automatic reply has an empty Return-Path as reports have, so for what says that it is one, this is no sign.
    """
    if (message_class or "").casefold().startswith("report."):
        return True
    named = ((name.casefold(), value) for name, value in headers)
    found = {name: value.casefold() for name, value in named if name in TELLING}
    if "multipart/report" in found.get("content-type", "") or "x-failed-recipients" in found:
        return True
    if "from" in found and is_machine(found["from"]):
        return True
    returns = found.get("return-path", "-").strip()
    return returns in ("<>", "") and "auto-replied" not in found.get("auto-submitted", "")


def read_report(mime: bytes) -> Report | None:
    """What this mail reports; None when it is no report. Of long ones only the first LARGEST bytes are read."""
    try:
        mail = message_from_bytes(mime[:LARGEST].replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        return _read(mail)
    except RecursionError:  # parts within parts, deeper than anybody means
        return None


def read_shown(*, subject: str, sender: str, text: str) -> Report | None:
    """The same from what a mailbox shows of a report, where its bytes are not to be had."""
    said, returned = split_at_returned(text[:MOST_TEXT])
    report = read_notice(subject, said, failed=(), own=(sender,))
    return None if report is None else replace(report, message_ids=_named(returned)[0])


def _read(mail: Message) -> Report | None:
    parts = list(_parts(mail))
    said, returned = split_at_returned(_said(parts))
    report = _formal(parts) or _in_words(mail, said)
    if report is None:
        return None
    ids, send_uid = _about(parts, returned)
    return replace(report, message_ids=tuple(dict.fromkeys((*report.message_ids, *ids))), send_uid=send_uid)


def _formal(parts: list[Message]) -> Report | None:
    """The parts that RFC 3464, 8098 and 5965 define."""
    for part in parts:
        kind = part.get_content_type()
        if kind in STATUS:
            deliveries = deliveries_of(_status_blocks(part))
            nature = nature_of(deliveries)
            if nature is not None:
                return Report(nature=nature, deliveries=deliveries, is_formal=True)
        elif kind in RECEIPT:
            return _receipt(_fields(part))
        elif kind == COMPLAINT:
            return Report(nature=Nature.COMPLAINT, is_formal=True)
    return None


def _receipt(fields: Mapping[str, str]) -> Report:
    """RFC 8098 section 3.2.6: what was done with the letter, at the end of `Disposition`."""
    deed = fields.get("disposition", "").partition(";")[2].strip().lower()
    ids = tuple(MESSAGE_ID.findall(fields.get("original-message-id", "")))
    nature = Nature.READ if deed.startswith(("displayed", "processed", "dispatched")) else Nature.NOT_READ
    return Report(nature=nature, message_ids=ids, is_formal=True)


def _in_words(mail: Message, said: str) -> Report | None:
    """A notice in prose, of a machine."""
    failed = ADDRESS.findall(header(mail, "x-failed-recipients"))
    is_report = mail.get_content_type() == "multipart/report"
    nobody = any(value.strip() in ("<>", "") for value in (mail.get_all("return-path") or ()) if isinstance(value, str))
    automatic = header(mail, "auto-submitted").lower().startswith("auto-replied")
    by_machine = "from" in mail and is_machine(header(mail, "from"))
    if not (failed or is_report or by_machine or (nobody and not automatic)):
        return None
    own = ADDRESS.findall(f"{header(mail, 'to')} {header(mail, 'from')} {header(mail, 'delivered-to')}")
    return read_notice(header(mail, "subject"), said, failed=failed, own=own)


def _parts(mail: Message) -> Iterator[Message]:
    """The parts of the mail itself, in order: what it returns is one part, whatever is in that."""
    waiting, count = [mail], 0
    while waiting and count < MOST_PARTS:
        part, count = waiting.pop(0), count + 1
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting = [one for one in part.get_payload() if isinstance(one, Message)] + waiting
        else:
            yield part


def _said(parts: list[Message]) -> str:
    """The text that people read: plain if there is any."""
    plain = [_text(part) for part in parts if part.get_content_type() == "text/plain"]
    if any(one.strip() for one in plain):
        return "\n\n".join(plain)[:MOST_TEXT]
    rich = [html_as_text(_text(part)) for part in parts if part.get_content_type() == "text/html"]
    return "\n\n".join(rich)[:MOST_TEXT]


def _text(part: Message) -> str:
    """The text of a part in whatever charset it claims, or at least its ASCII."""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else _inner(part)
    try:
        return content[: 4 * MOST_TEXT].decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, UnicodeError, ValueError):
        return content[: 4 * MOST_TEXT].decode("ascii", "replace")


def _inner(part: Message) -> bytes:
    """What stands in a `message/…` part, as it was written."""
    payload = part.get_payload()
    inner = payload if isinstance(payload, list) else [payload]
    return b"\n\n".join(_written(one) for one in inner)


def _written(one: object) -> bytes:
    if not isinstance(one, Message):
        return str(one).encode("ascii", "replace")
    lines = [f"{name}: {value}" for name, value in one.items()]
    body = one.get_payload()
    return "\n".join([*lines, "", body if isinstance(body, str) else ""]).encode("utf-8", "replace")


def _status_blocks(part: Message) -> list[Mapping[str, str]]:
    """The field paragraphs of a delivery status; `email` has parsed each as a message, unless it is encoded."""
    text = _inner(part).decode("utf-8", "replace")
    if "base64" in header(part, "content-transfer-encoding").lower() or ":" not in text:
        text = _text_of_encoded(part)
    return list(blocks_of(text))


def _text_of_encoded(part: Message) -> str:
    plain = Message()
    plain["Content-Transfer-Encoding"] = header(part, "content-transfer-encoding")
    plain.set_payload(_inner(part).decode("ascii", "replace").strip())
    return _text(plain)


def _fields(part: Message) -> dict[str, str]:
    merged: dict[str, str] = {}
    for block in _status_blocks(part):
        merged = {**block, **merged}
    return merged


def _about(parts: list[Message], returned: str) -> tuple[tuple[str, ...], str | None]:
    """Which message is returned: by its Message-ID, and by our own header. The first, should there be several."""
    for part in parts:
        if part.get_content_type() in RETURNED:
            found = _named(_returned_text(part))
            if found[0] or found[1]:
                return found
    return _named(returned)


def _returned_text(part: Message) -> str:
    payload = part.get_payload()
    if isinstance(payload, list):
        return "\n".join(_written(one).decode("utf-8", "replace") for one in payload)[:MOST_TEXT]
    return _text(part)[:MOST_TEXT]


def _named(text: str) -> tuple[tuple[str, ...], str | None]:
    """The Message-ID and our header, as they stand at the beginning of lines; the id may be on the line below."""
    ids = re.search(r"^[>|\s]{0,8}message-id[ \t]*:[ \t]*(?:\n[ \t]+)?(<[^\n]*)", text, re.IGNORECASE | re.MULTILINE)
    uid = re.search(
        rf"^[>|\s]{{0,8}}{SEND_UID_HEADER}[ \t]*:[ \t]*([0-9a-f-]{{8,64}})", text, re.IGNORECASE | re.MULTILINE
    )
    return tuple(MESSAGE_ID.findall(ids[1])[:1]) if ids else (), uid[1].lower() if uid else None


def header(mail: Message, name: str) -> str:
    """A header as people read it: encoded words decoded, and whatever cannot be decoded as it stands."""
    value = str(mail.get(name, ""))[:LONGEST_VALUE]
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, UnicodeError, ValueError, MessageError):
        return value
