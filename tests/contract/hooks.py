"""What schemathesis cannot know: which mailbox letters may come from, and what a letter needs that no schema says.

Valid requests are made to fit the school that `server` sets up, so that more than their checking is tried. What is
meant to be refused is left alone.
"""

import zlib
from typing import Any, Final

import schemathesis

from tests.http.scene import MAILBOX

ADDRESSES: Final = {"from": MAILBOX, "mailbox": MAILBOX, "address": "aroha@student.example"}
AN_OBJECT: Final = {"type": "student", "id": "S1001"}


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Three of four valid requests, by their content."""
    is_meant_well = case.meta is not None and case.meta.generation.mode.is_positive
    if is_meant_well and isinstance(case.body, dict) and zlib.crc32(repr(case.body).encode(errors="replace")) % 4:
        case.body = fitting(case.body, case.operation.path)
    return case


def fitting(body: Any, path: str) -> Any:
    """The same, with addresses that there are and one body for each letter."""
    if isinstance(body, list):
        return [fitting(one, path) for one in body]
    if not isinstance(body, dict):
        return body
    found = {name: fitting(value, path) for name, value in body.items()}
    found |= {name: address for name, address in ADDRESSES.items() if isinstance(found.get(name), str)}
    for name in ("by", "created_by", "staff", "reader", "subject", "name"):
        if isinstance(found.get(name), str):
            found[name] = "".join(one for one in found[name] if one.isprintable()).strip() or "Jane Doe"
    is_letter = "from" in found or path.endswith("/replies")
    return as_letter(found) if is_letter else found


def as_letter(found: dict[str, Any]) -> dict[str, Any]:
    """With a text, a recipient and a record, and no attachment of another's."""
    kept = {
        name: value for name, value in found.items() if name not in ("html", "attachments", "headers", "in_reply_to")
    }
    more = {"text": "Kia ora", "subject": kept.get("subject") or "Your enrolment", "objects": [AN_OBJECT]}
    return kept | more | {"to": [{"address": "aroha@student.example"}], "cc": [], "bcc": [], "reply_to": []}
