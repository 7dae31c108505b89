"""The draft of a letter, as Graph takes it: what makes it in one call, and what follows. Pure.

Sources: https://learn.microsoft.com/graph/api/user-post-messages,
https://learn.microsoft.com/graph/api/message-createreply, https://learn.microsoft.com/graph/api/message-update
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.graph import Message as Item
from storage.attachments import LetterAttachment
from storage.messages import Message
from storage.outbox import Letter
from storage.threads import Address

TAG: Final = "String {7d0b5a52-9a3c-4a0e-9f0e-3d1c2b7e5a41} Name SelmaSendUid"
SEND_UID_HEADER: Final = "x-selma-send-uid"
MOST_HEADERS: Final = 5
"""The extended property that says which sending an item in a mailbox is. Never to be changed: it is how letters that
left years ago are recognised. Source: https://learn.microsoft.com/graph/api/resources/extended-properties-overview"""

LARGEST_REQUEST_BYTES: Final = 3_500_000  # Graph takes 4 MB; base64 included


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The mail that a letter answers, as it stands in the mailbox."""

    graph_id: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Which attachments go along when the draft is made, and which follow one by one."""

    inside: tuple[LetterAttachment, ...]
    separate: tuple[LetterAttachment, ...]


def payload_of(letter: Letter, message: Message) -> dict[str, Any]:
    """All of a letter but its attachments. The mailbox that it is posted to is the sender: no `from` is set."""
    payload: dict[str, Any] = {
        "subject": message.subject,
        "body": {"contentType": message.body_type.value, "content": message.body},
        "toRecipients": _recipients(message.recipients.to),
        "ccRecipients": _recipients(message.recipients.cc),
        "bccRecipients": _recipients(message.recipients.bcc),
        "replyTo": _recipients(message.recipients.reply_to),
        "importance": letter.importance,
        **_tag(letter),
    }
    return payload | _headers(letter)


def reply_at_birth(letter: Letter, message: Message) -> dict[str, Any]:
    """What of an answer can be said only when its draft is made: headers. The tag, so that it is found at once where
    Graph takes it here; the docs promise that only for what follows."""
    return {"toRecipients": _recipients(message.recipients.to), **_tag(letter), **_headers(letter)}


def reply_changes(letter: Letter, message: Message, original: Original) -> dict[str, Any]:
    """What makes Graph's draft of an answer the letter that was posted. Its own subject is left to Graph."""
    changes = payload_of(letter, message)
    changes.pop("internetMessageHeaders", None)
    if message.subject == reply_subject(original.subject):
        del changes["subject"]
    return changes


def reply_subject(subject: str) -> str:
    """The subject of an answer, as Exchange makes it."""
    return subject if subject[:3].casefold() == "re:" else f"RE: {subject}"


def with_attachments(payload: Mapping[str, Any], inside: Sequence[tuple[LetterAttachment, bytes]]) -> dict[str, Any]:
    """The same with the attachments that fit into one request."""
    if not inside:
        return dict(payload)
    return {**payload, "attachments": [file_attachment(one, content) for one, content in inside]}


def file_attachment(attachment: LetterAttachment, content: bytes) -> dict[str, Any]:
    """An attachment as Graph takes it; one with a content id is shown inside the HTML.

    Source: https://learn.microsoft.com/graph/api/message-post-attachments
    """
    payload: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": attachment.name,
        "contentType": attachment.content_type,
        "contentBytes": base64.b64encode(content).decode(),
        "isInline": attachment.content_id is not None,
    }
    if attachment.content_id is not None:
        payload["contentId"] = attachment.content_id
    return payload


def divide(payload: Mapping[str, Any], attachments: Sequence[LetterAttachment]) -> Parts:
    """Into one request goes what fits, in the order in which it was posted."""
    room = LARGEST_REQUEST_BYTES - len(orjson.dumps(payload)) - len(',"attachments":[]')
    inside, separate = [], []
    for one in attachments:
        size = len(orjson.dumps(file_attachment(one, b""))) + (one.size + 2) // 3 * 4 + len(",")
        if size <= room:
            inside.append(one)
            room -= size
        else:
            separate.append(one)
    return Parts(inside=tuple(inside), separate=tuple(separate))


def oldest_first(items: Iterable[Item]) -> list[Item]:
    """Drafts of one tag in the order in which one is kept and the others go."""
    return sorted(items, key=lambda item: (item.created_at is None, item.created_at, item.id))


def _tag(letter: Letter) -> dict[str, Any]:
    return {"singleValueExtendedProperties": [{"id": TAG, "value": letter.send_uid}]}


def _headers(letter: Letter) -> dict[str, Any]:
    """Those of the sender, and ours if there is room: mail systems send it back when they cannot deliver a letter.

    It is a name without a meaning to others. Graph takes five:
    https://learn.microsoft.com/graph/api/resources/message, internetMessageHeaders
    """
    ours = ((SEND_UID_HEADER, letter.send_uid),) if len(letter.headers) < MOST_HEADERS else ()
    headers = (*letter.headers, *ours)
    return {"internetMessageHeaders": [{"name": name, "value": value} for name, value in headers]}


def _recipients(people: Iterable[Address]) -> list[dict[str, Any]]:
    return [
        {"emailAddress": {"address": one.address} if one.name is None else {"name": one.name, "address": one.address}}
        for one in people
    ]
