"""Upload sessions, without a wire: their sizes, where they may lead, what their answers say.

Source: https://learn.microsoft.com/graph/outlook-large-attachments
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

import httpx

from . import parsing, wire
from .errors import ForeignUrl, UnexpectedAnswer
from .parsing import Json

# Sizes in bytes: https://learn.microsoft.com/graph/api/attachment-createuploadsession says 4, 3 and 150 MB without
# saying which megabyte, so each is taken on its safe side. A session for a file that Graph calls too small is
# refused with ErrorAttachmentSizeShouldNotBeLessThanMinimumSize: then the small way is the right one.
UPLOAD_PIECE: Final = 3_932_160
SMALLEST_SESSION: Final = 3 * 1024 * 1024
LARGEST_ATTACHMENT: Final = 150_000_000

# The documented host, and the one seen as often (microsoft-graph-docs-contrib issue 8880); in China by
# https://learn.microsoft.com/previous-versions/office/office-365-api/api/o365-china-endpoints. The US Government
# clouds L4 and L5 have no upload sessions: https://learn.microsoft.com/graph/api/attachment-createuploadsession
UPLOAD_HOSTS: Final = frozenset({"outlook.office.com", "outlook.office365.com", "partner.outlook.cn"})

NEXT_RANGE: Final = re.compile(r"([0-9]{1,18})(-[0-9]*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSession:
    """An attachment that is under way. Who has the `url` may write to it: never log it.

    `next_offset` is the first byte that is wanted. The expiry never moves.
    """

    url: str = field(repr=False)
    expires_at: datetime | None
    next_offset: int

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        members = without_case(payload)
        return cls(
            url=parsing.required_text(members, "uploadurl"),
            expires_at=parsing.moment(members, "expirationdatetime"),
            next_offset=next_offset(payload),
        )


def next_offset(payload: Json) -> int:
    """Where the first of `nextExpectedRanges` begins: "2097152-" as elsewhere, or a bare "2097152" as Outlook says it.

    Raises UnexpectedAnswer.
    """
    ranges = without_case(payload).get("nextexpectedranges")
    first = ranges[0] if isinstance(ranges, list) and ranges else None
    match = NEXT_RANGE.fullmatch(str(first))
    if match is None:
        raise UnexpectedAnswer("nextExpectedRanges names no range")
    return int(match[1])


def without_case(payload: Json) -> Json:
    """With its members' names in lower case: between two pieces the expiry is printed `ExpirationDateTime`."""
    return {name.lower(): value for name, value in payload.items()}


def checked_url(url: str, origin: str) -> str:
    """An upload URL, if it leads to a host of Outlook over TLS, or back to `origin`.

    Raises ForeignUrl, before anything is contacted and without a word of the URL but its host.
    """
    try:
        link, own = httpx.URL(url), httpx.URL(origin)
    except (httpx.InvalidURL, ValueError):
        raise ForeignUrl("an upload URL that is no URL") from None
    port = wire.port_of(link)
    is_outlook = (link.scheme, port) == ("https", 443) and link.host in UPLOAD_HOSTS
    is_ours = (link.scheme, link.host, port) == (own.scheme, own.host, wire.port_of(own))
    if link.userinfo or not (is_outlook or is_ours):
        raise ForeignUrl(f"an upload URL of {link.host}")
    return url
