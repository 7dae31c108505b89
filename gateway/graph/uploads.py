"""Upload sessions, without a wire: their sizes, and what their answers say.

Source: https://learn.microsoft.com/graph/outlook-large-attachments
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from . import parsing
from .errors import UnexpectedAnswer
from .parsing import Json

# Sizes in bytes: https://learn.microsoft.com/graph/api/attachment-createuploadsession says 4, 3 and 150 MB without
# saying which megabyte, so each is taken on its safe side. A session for a file that Graph calls too small is
# refused with ErrorAttachmentSizeShouldNotBeLessThanMinimumSize: then the small way is the right one.
UPLOAD_PIECE: Final = 3_932_160
SMALLEST_SESSION: Final = 3 * 1024 * 1024
LARGEST_ATTACHMENT: Final = 150_000_000

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
