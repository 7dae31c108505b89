"""What a mail is: written by a person, or a bounce, an automatic reply, a receipt, a calendar matter. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.threads.reports import Nature, Report
from storage.messages import Kind

MESSAGE_CLASS: Final = "String 0x001A"  # PidTagMessageClass, MS-OXCMSG 2.2.1.3

# MS-OXOMSG 2.2.2.1: the class of the original stands between the prefix and the suffix.
REPORT: Final = "report."
# The class of Exchange's answers of those who are away, by practice; the Outlook item types page names the template's.
RULES: Final = "ipm.note.rules."
MEETING: Final = "ipm.schedule.meeting."


class What(StrEnum):
    """More exactly, for those kinds that are of several sorts."""

    DELAYED = "delayed"
    DELIVERED = "delivered"
    READ = "read"
    NOT_READ = "not_read"
    COMPLAINT = "complaint"
    INVITATION = "invitation"
    CANCELLED = "cancelled"
    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """What a mail is. `what` is None where `kind` says it all."""

    kind: Kind
    what: What | None = None


# MS-OXCMAIL 2.2.3.7.1.1 and MS-OXOMSG 2.2.2.1; the longer ones first, for `.Delayed.DR` ends in `.DR`, too.
REPORTS: Final = (
    (".ndr", Sort(kind=Kind.BOUNCE)),
    (".delayed.dr", Sort(kind=Kind.RECEIPT, what=What.DELAYED)),
    (".dr", Sort(kind=Kind.RECEIPT, what=What.DELIVERED)),
    (".ipnrn", Sort(kind=Kind.RECEIPT, what=What.READ)),
    (".ipnnrn", Sort(kind=Kind.RECEIPT, what=What.NOT_READ)),
)
# MS-OXOCAL 2.2.6 to 2.2.10.
MEETINGS: Final = (
    ("request", What.INVITATION),
    ("canceled", What.CANCELLED),
    ("resp.pos", What.ACCEPTED),
    ("resp.tent", What.TENTATIVE),
    ("resp.neg", What.DECLINED),
)
NATURES: Final = {
    Nature.FAILED: Sort(kind=Kind.BOUNCE),
    Nature.DELAYED: Sort(kind=Kind.RECEIPT, what=What.DELAYED),
    Nature.DELIVERED: Sort(kind=Kind.RECEIPT, what=What.DELIVERED),
    Nature.READ: Sort(kind=Kind.RECEIPT, what=What.READ),
    Nature.NOT_READ: Sort(kind=Kind.RECEIPT, what=What.NOT_READ),
    Nature.COMPLAINT: Sort(kind=Kind.AUTOMATIC, what=What.COMPLAINT),
}
# Headers of machines that answer but do not know RFC 3834, with what they say when they do.
AUTOMATIC: Final = {
    "x-autoreply": "",
    "x-autorespond": "",
    "x-autoresponse": "",
    "x-apple-action": "vacation",
    "precedence": "auto_reply",
    "x-precedence": "auto_reply",
}

RULES_LOOP: Final = "x-ms-exchange-inbox-rules-loop"
SUPPRESS: Final = "x-auto-response-suppress"
TELLING: Final = frozenset({"content-type", "auto-submitted", RULES_LOOP, SUPPRESS, *AUTOMATIC})


def sort_of(
    *,
    message_class: str | None,
    odata_type: str | None,
    headers: Iterable[tuple[str, str]],
    report: Report | None = None,
) -> Sort:
    """Exchange's message class first, since the sender cannot set it; then what it reports; then what headers say.

    Of a report that was read its own words are more exact than its class. `X-Auto-Response-Suppress` alone is no sign:
    it asks others not to answer by machine (MS-OXCMAIL 2.1.3.2.20), and Exchange puts it on ordinary mail.
    """
    by_class = _by_class((message_class or "").casefold(), (odata_type or "").casefold())
    if by_class is not None and by_class.kind not in (Kind.BOUNCE, Kind.RECEIPT):
        return by_class
    if report is not None:
        return NATURES[report.nature]
    return by_class or _by_headers(_telling(headers))


def _telling(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those that are looked at: most of what a mail carries is long and tells other machines something."""
    named = ((name.casefold(), value) for name, value in headers)
    return {name: value.casefold().strip() for name, value in named if name in TELLING}


def _by_class(message_class: str, odata_type: str) -> Sort | None:
    if message_class.startswith(REPORT):
        found = (sort for ending, sort in REPORTS if message_class.endswith(ending))
        return next(found, Sort(kind=Kind.RECEIPT))
    if message_class.startswith(RULES):
        return Sort(kind=Kind.AUTOMATIC)
    if message_class.startswith(MEETING) or odata_type.startswith("#microsoft.graph.eventmessage"):
        rest = message_class.removeprefix(MEETING)
        return Sort(kind=Kind.CALENDAR, what=next((what for word, what in MEETINGS if rest.startswith(word)), None))
    return None


def _by_headers(headers: dict[str, str]) -> Sort:
    """RFC 3464 (delivery reports), RFC 8098 (receipts), RFC 3834 (automatic replies)."""
    content_type = headers.get("content-type", "")
    if content_type.startswith("multipart/report"):
        if "disposition-notification" in content_type:
            return Sort(kind=Kind.RECEIPT)
        if "delivery-status" in content_type:
            return Sort(kind=Kind.BOUNCE)
    return Sort(kind=Kind.AUTOMATIC if _is_automatic(headers) else Kind.MAIL)


def _is_automatic(headers: dict[str, str]) -> bool:
    """`auto-generated` is a machine's own mail and answers nobody, but may be what a person waits for: not counted.

    Of Exchange's own, that came by SMTP and lost their class, two marks together tell: one alone is also on mail that
    a person wrote and a rule forwarded.
    """
    if headers.get("auto-submitted", "no").startswith("auto-replied"):
        return True
    if RULES_LOOP in headers and SUPPRESS in headers:
        return True
    return any(name in headers and said in headers[name] and headers[name] != "no" for name, said in AUTOMATIC.items())
