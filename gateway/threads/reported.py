"""Fetching the bytes of what may be a report, and reading them; or what can be had without them."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from gateway.graph import BodyType, GraphError, Message, NotFound
from gateway.threads.graph import MailReader
from gateway.threads.html import html_as_text
from gateway.threads.kinds import MESSAGE_CLASS
from gateway.threads.reports import LARGEST, Report, may_be_report, read_report, read_shown

log = logging.getLogger(__name__)

REPORT_LIMIT: Final = timedelta(seconds=10)  # for the bytes of one, of a pull that has minutes for all


@dataclass(slots=True)
class Reported:
    """What reports say, by Graph id; and of which mail the bytes could not be had."""

    reports: dict[str, Report] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


async def read_reports(graph: MailReader, user: str, some: Sequence[Message]) -> Reported:
    """What those of this mail say that may be reports: what they return is nowhere but in their bytes."""
    found = Reported()
    for message in some:
        headers = message.internet_message_headers or ()
        if not may_be_report(message_class=message.extended_property(MESSAGE_CLASS), headers=headers):
            continue
        try:
            async with asyncio.timeout(REPORT_LIMIT.total_seconds()):
                mime = await graph.get_mime(user, message.id, limit=LARGEST)
        except NotFound:
            found.missing |= {message.id}
        except (GraphError, TimeoutError) as error:
            why = error.log_fields() if isinstance(error, GraphError) else {"error": "timeout"}
            log.warning("report not read", extra={"graph_id": message.id, **why})
            found.failed |= {message.id}
        else:
            report = await asyncio.to_thread(read_report, mime)
            if report is not None:
                found.reports[message.id] = report
    return found


def as_shown(ours: Sequence[Message], unread: Reported) -> dict[str, Report]:
    """Of mail that is ours and is here, no more than its bytes are wanting: its text says what happened, too."""
    found = {}
    for one in ours:
        if one.id in unread.failed | unread.missing and one.body is not None:
            text = html_as_text(one.body.content) if one.body.content_type is BodyType.HTML else one.body.content
            sender = (one.from_.address if one.from_ else None) or ""
            report = read_shown(subject=one.subject or "", sender=sender, text=text)
            if report is not None:
                found[one.id] = report
    return found
