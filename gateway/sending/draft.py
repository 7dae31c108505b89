"""The draft of a letter, as Graph takes it; and what of it is already in the mailbox. Pure.

Source: https://learn.microsoft.com/graph/api/user-post-messages
"""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from gateway.graph import AttachmentInfo
from gateway.graph import Message as Item
from storage.messages import Message
from storage.outbox import Letter, LetterAttachment
from storage.threads import Address

TAG: Final = "String {7d0b5a52-9a3c-4a0e-9f0e-3d1c2b7e5a41} Name SelmaSendUid"
"""The extended property that says which sending an item in a mailbox is. Never to be changed: it is how letters that
left years ago are recognised. Source: https://learn.microsoft.com/graph/api/resources/extended-properties-overview"""

LARGEST_REQUEST_BYTES: Final = 3_500_000  # Graph takes 4 MB; base64 included


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What makes the draft in one call, and the attachments that do not fit into that and follow one by one."""

    payload: dict[str, Any]
    inside: tuple[LetterAttachment, ...]
    separate: tuple[LetterAttachment, ...]


def compose(letter: Letter, message: Message, attachments: Sequence[LetterAttachment]) -> Draft:
    """The mailbox that it is posted to is the sender: no `from` is set."""
    payload: dict[str, Any] = {
        "subject": message.subject,
        "body": {"contentType": message.body_type.value, "content": message.body},
        "toRecipients": _recipients(message.recipients.to),
        "ccRecipients": _recipients(message.recipients.cc),
        "bccRecipients": _recipients(message.recipients.bcc),
        "replyTo": _recipients(message.recipients.reply_to),
        "importance": letter.importance,
        "singleValueExtendedProperties": [{"id": TAG, "value": letter.send_uid}],
    }
    inside, separate = _divide(attachments, LARGEST_REQUEST_BYTES - len(orjson.dumps(payload)))
    if inside:
        payload["attachments"] = [file_attachment(one) for one in inside]
    return Draft(payload=payload, inside=inside, separate=separate)


def file_attachment(attachment: LetterAttachment) -> dict[str, Any]:
    """An attachment as Graph takes it; one with a content id is shown inside the HTML.

    Source: https://learn.microsoft.com/graph/api/message-post-attachments
    """
    payload: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": attachment.name,
        "contentType": attachment.content_type,
        "contentBytes": base64.b64encode(attachment.content).decode(),
        "isInline": attachment.content_id is not None,
    }
    if attachment.content_id is not None:
        payload["contentId"] = attachment.content_id
    return payload


def missing(draft: Draft, present: Iterable[AttachmentInfo]) -> list[LetterAttachment]:
    """Which of the separate attachments are not yet on the draft. They are told apart by name."""
    there = Counter(one.name for one in present)
    there.subtract(one.name for one in draft.inside)
    absent = []
    for one in draft.separate:
        if there[one.name] > 0:
            there[one.name] -= 1
        else:
            absent.append(one)
    return absent


def oldest_first(items: Iterable[Item]) -> list[Item]:
    """Drafts of one tag in the order in which one is kept and the others go."""
    return sorted(items, key=lambda item: (item.created_at is None, item.created_at, item.id))


def _recipients(people: Iterable[Address]) -> list[dict[str, Any]]:
    return [
        {"emailAddress": {"address": one.address} if one.name is None else {"name": one.name, "address": one.address}}
        for one in people
    ]


def _divide(
    attachments: Sequence[LetterAttachment], room: int
) -> tuple[tuple[LetterAttachment, ...], tuple[LetterAttachment, ...]]:
    inside, separate = [], []
    for one in attachments:
        described = len(orjson.dumps(file_attachment(replace(one, content=b""))))
        size = described + (len(one.content) + 2) // 3 * 4 + len(',"attachments":[]')
        if size <= room:
            inside.append(one)
            room -= size
        else:
            separate.append(one)
    return tuple(inside), tuple(separate)
