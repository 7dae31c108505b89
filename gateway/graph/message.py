"""A message and what it is made of, as far as we use it, in Graph's words.

Each is built in one place, `from_graph`, which raises UnexpectedAnswer and nothing else, whatever JSON it is given.
What was not selected is None. Times are aware and in UTC.
Source: https://learn.microsoft.com/graph/api/resources/message
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from . import parsing
from .errors import UnexpectedAnswer
from .parsing import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A name and an address as Graph spelled them: a claim, not a fact. No address is ""."""

    name: str | None
    address: str

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        email_address = parsing.an_object(payload, "emailAddress") or {}
        return cls(name=parsing.text(email_address, "name"), address=parsing.text(email_address, "address") or "")


class BodyType(StrEnum):
    TEXT = "text"
    HTML = "html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An itemBody. HTML of a stranger: make it safe before anyone sees it."""

    content_type: BodyType
    content: str

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        try:
            content_type = BodyType((parsing.text(payload, "contentType") or "text").lower())
        except ValueError as error:
            raise UnexpectedAnswer("contentType is neither text nor html") from error
        return cls(content_type=content_type, content=parsing.text(payload, "content") or "")


class AttachmentKind(StrEnum):
    FILE = "file"
    ITEM = "item"  # another message, event or contact
    REFERENCE = "reference"  # a link to a file in the cloud, has no bytes
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentInfo:
    """An attachment without its bytes. `size` is in bytes and includes overhead."""

    id: str
    name: str | None
    content_type: str | None
    size: int | None
    is_inline: bool
    content_id: str | None
    kind: AttachmentKind

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        return cls(
            id=parsing.required_text(payload, "id"),
            name=parsing.text(payload, "name"),
            content_type=parsing.text(payload, "contentType"),
            size=parsing.integer(payload, "size"),
            is_inline=parsing.flag(payload, "isInline") or False,
            content_id=parsing.text(payload, "contentId"),
            kind=attachment_kind(payload),
        )


def attachment_kind(payload: Json) -> AttachmentKind:
    """By `@odata.type`; the answer to a POST lacks it, but only a file has bytes."""
    match parsing.text(payload, "@odata.type"):
        case "#microsoft.graph.fileAttachment":
            return AttachmentKind.FILE
        case "#microsoft.graph.itemAttachment":
            return AttachmentKind.ITEM
        case "#microsoft.graph.referenceAttachment":
            return AttachmentKind.REFERENCE
        case None if "contentBytes" in payload:
            return AttachmentKind.FILE
    return AttachmentKind.OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message in one mailbox, as much of it as was selected.

    `id` is immutable as far as Exchange keeps its word: it changes on a move to the archive.
    `conversation_id` means something only within its mailbox. Both are case-sensitive.
    """

    id: str
    odata_type: str | None = None  # "#microsoft.graph.eventMessage…" for meeting requests
    conversation_id: str | None = None
    conversation_index: str | None = None
    internet_message_id: str | None = None
    subject: str | None = None
    from_: Recipient | None = None
    sender: Recipient | None = None
    to: tuple[Recipient, ...] | None = None
    cc: tuple[Recipient, ...] | None = None
    bcc: tuple[Recipient, ...] | None = None
    reply_to: tuple[Recipient, ...] | None = None
    is_draft: bool | None = None
    parent_folder_id: str | None = None
    received_at: datetime | None = None
    sent_at: datetime | None = None
    created_at: datetime | None = None
    body: Body | None = None
    unique_body: Body | None = None
    body_preview: str | None = None
    has_attachments: bool | None = None  # False when all of them are inline
    internet_message_headers: tuple[tuple[str, str], ...] | None = None
    extended_properties: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[AttachmentInfo, ...] | None = None

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        return cls(
            id=parsing.required_text(payload, "id"),
            odata_type=parsing.text(payload, "@odata.type"),
            conversation_id=parsing.text(payload, "conversationId"),
            conversation_index=parsing.text(payload, "conversationIndex"),
            internet_message_id=parsing.text(payload, "internetMessageId"),
            subject=parsing.text(payload, "subject"),
            from_=recipient(payload, "from"),
            sender=recipient(payload, "sender"),
            to=recipients(payload, "toRecipients"),
            cc=recipients(payload, "ccRecipients"),
            bcc=recipients(payload, "bccRecipients"),
            reply_to=recipients(payload, "replyTo"),
            is_draft=parsing.flag(payload, "isDraft"),
            parent_folder_id=parsing.text(payload, "parentFolderId"),
            received_at=parsing.moment(payload, "receivedDateTime"),
            sent_at=parsing.moment(payload, "sentDateTime"),
            created_at=parsing.moment(payload, "createdDateTime"),
            body=item_body(payload, "body"),
            unique_body=item_body(payload, "uniqueBody"),
            body_preview=parsing.text(payload, "bodyPreview"),
            has_attachments=parsing.flag(payload, "hasAttachments"),
            internet_message_headers=internet_message_headers(payload),
            extended_properties=extended_properties(payload),
            attachments=attachments(payload, "attachments"),
        )

    @property
    def body_html(self) -> str | None:
        """The body if it is HTML. Not yet safe to show."""
        return self.body.content if self.body and self.body.content_type is BodyType.HTML else None

    @property
    def body_text(self) -> str | None:
        """The body if it is plain text."""
        return self.body.content if self.body and self.body.content_type is BodyType.TEXT else None

    def extended_property(self, property_id: str) -> str | None:
        """One expanded extended property; ids are compared without case, as GUIDs in them vary."""
        wanted = property_id.casefold()
        return next((value for id, value in self.extended_properties.items() if id.casefold() == wanted), None)


def recipient(payload: Json, name: str) -> Recipient | None:
    value = parsing.an_object(payload, name)
    return None if value is None else Recipient.from_graph(value)


def recipients(payload: Json, name: str) -> tuple[Recipient, ...] | None:
    values = parsing.objects(payload, name)
    return None if values is None else tuple(Recipient.from_graph(value) for value in values)


def item_body(payload: Json, name: str) -> Body | None:
    value = parsing.an_object(payload, name)
    return None if value is None else Body.from_graph(value)


def internet_message_headers(payload: Json) -> tuple[tuple[str, str], ...] | None:
    """In Graph's order; a name may stand several times. A nameless one is left out."""
    values = parsing.objects(payload, "internetMessageHeaders")
    if values is None:
        return None
    text = parsing.text
    pairs = [(text(value, "name"), text(value, "value") or "") for value in values]
    return tuple([(name, value) for name, value in pairs if name])


def extended_properties(payload: Json) -> dict[str, str]:
    values = parsing.objects(payload, "singleValueExtendedProperties") or ()
    return {parsing.required_text(value, "id"): parsing.text(value, "value") or "" for value in values}


def attachments(payload: Json, name: str) -> tuple[AttachmentInfo, ...] | None:
    values = parsing.objects(payload, name)
    return None if values is None else tuple(AttachmentInfo.from_graph(value) for value in values)
