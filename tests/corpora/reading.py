"""A mail in a file, as the puller comes to know it: headers first, then, if it looks like a report, its bytes."""

from dataclasses import dataclass
from email import message_from_bytes

from gateway.threads.kinds import Sort, sort_of
from gateway.threads.reports import Report, may_be_report, read_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was made of a mail."""

    sort: Sort
    report: Report | None


def see(mime: bytes) -> Seen:
    """Without Exchange's message class, which files do not have: the harder case."""
    mail = message_from_bytes(mime.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    headers = [(name, str(value)) for name, value in mail.items()]
    report = read_report(mime) if may_be_report(message_class=None, headers=headers) else None
    return Seen(sort=sort_of(message_class=None, odata_type=None, headers=headers, report=report), report=report)
