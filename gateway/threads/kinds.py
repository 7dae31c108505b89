"""What a mail is: written by a person, or a bounce, an automatic reply, a receipt, a calendar matter. Pure."""

from collections.abc import Iterable
from typing import Final

from storage.messages import Kind

MESSAGE_CLASS: Final = "String 0x001A"  # PidTagMessageClass, MS-OXCMSG 2.2.1.3

# MS-OXOMSG 2.2.2.1: the class of the original stands between the prefix and the suffix.
REPORT: Final = "report."
NOT_DELIVERED: Final = ".ndr"
# The class of Exchange's answers of those who are away, by practice; the Outlook item types page names the template's.
RULES: Final = "ipm.note.rules."
MEETING: Final = "ipm.schedule.meeting."


def kind_of(*, message_class: str | None, odata_type: str | None, headers: Iterable[tuple[str, str]]) -> Kind:
    """Exchange's message class first, since the sender cannot set it; then what the headers say.

    `X-Auto-Response-Suppress` is no sign: it asks others not to answer by machine (MS-OXCMAIL 2.1.3.2.20).
    """
    by_class = _by_class((message_class or "").casefold(), (odata_type or "").casefold())
    return by_class or _by_headers({name.casefold(): value.casefold().strip() for name, value in headers})


def _by_class(message_class: str, odata_type: str) -> Kind | None:
    if message_class.startswith(REPORT):
        return Kind.BOUNCE if message_class.endswith(NOT_DELIVERED) else Kind.RECEIPT
    if message_class.startswith(RULES):
        return Kind.AUTOMATIC
    if message_class.startswith(MEETING) or odata_type.startswith("#microsoft.graph.eventmessage"):
        return Kind.CALENDAR
    return None


def _by_headers(headers: dict[str, str]) -> Kind:
    """RFC 3464 (delivery reports), RFC 8098 (receipts), RFC 3834 (automatic replies)."""
    content_type = headers.get("content-type", "")
    if content_type.startswith("multipart/report"):
        if "disposition-notification" in content_type:
            return Kind.RECEIPT
        if "delivery-status" in content_type:
            return Kind.BOUNCE
    if headers.get("auto-submitted", "no").startswith("auto-replied"):
        return Kind.AUTOMATIC
    return Kind.MAIL
