"""Messages as clients write them: JSON checked property by property, MIME read from base64. Strict as Graph is."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.sandbox import mime
from gateway.sandbox.clock import Clock
from gateway.sandbox.graph import errors
from gateway.sandbox.graph.entities import ATTACHMENT_PROPERTIES, MESSAGE_PROPERTIES
from gateway.sandbox.identity import Identities
from gateway.sandbox.model import Address, Attachment, Body
from gateway.sandbox.text import as_html

MOST_HEADERS: Final = 5
ALWAYS_WRITABLE: Final = frozenset(
    {"isRead", "categories", "flag", "inferenceClassification", "singleValueExtendedProperties"}
)
"""After sending only these can be changed (api/message-update)."""

Changes = dict[str, Any]


class Incoming:
    """Reads what clients post. What it returns are fields of `model.Message` by name."""

    def __init__(self, *, clock: Clock, identities: Identities) -> None:
        self._clock = clock
        self._identities = identities

    def message(self, body: Mapping[str, Any], *, is_new: bool = False, is_draft: bool = True) -> Changes:
        """The fields a JSON message sets. Raises GraphError for what Graph would not take."""
        changes: Changes = {}
        for name, value in body.items():
            if name.startswith("@"):
                _check_annotation(name, value, "message")
            elif name == "attachments" and is_new:
                attachments = [self.attachment(each) for each in _list(name, value)]
                changes["attachments"] = {attachment.id: attachment for attachment in attachments}
            elif name == "internetMessageHeaders" and is_new:
                changes["headers"] = _headers(value)
            elif name in _WRITABLE:
                if not is_draft and name not in ALWAYS_WRITABLE:
                    raise errors.read_only(name)
                field, read = _WRITABLE[name]
                changes[field] = read(name, value)
            elif name in MESSAGE_PROPERTIES or name in ("id", "attachments"):
                raise errors.read_only(name)
            else:
                raise errors.unknown_property(name, "message")
        return changes

    def attachment(self, body: Any) -> Attachment:
        """A `fileAttachment` with its bytes. Raises GraphError."""
        fields = _object("attachment", body)
        if str(fields.get("@odata.type", "")).lower() != "#microsoft.graph.fileattachment":
            raise errors.unknown_property("contentBytes", "attachment")
        for name in fields:
            if not name.startswith("@") and name not in ATTACHMENT_PROPERTIES:
                raise errors.unknown_property(name, "fileAttachment")
        if "contentBytes" not in fields or "name" not in fields:
            raise errors.bad_request("Required property is missing.", "ErrorRequiredPropertyMissing")
        content_id = fields.get("contentId")
        return self.file(
            name=_string("name", fields["name"]),
            content_type=_string("contentType", fields.get("contentType") or "application/octet-stream"),
            content=_binary("contentBytes", fields["contentBytes"]),
            is_inline=_boolean("isInline", fields.get("isInline", False)),
            content_id=None if content_id is None else _string("contentId", content_id),
        )

    def file(
        self, *, name: str, content_type: str, content: bytes, is_inline: bool = False, content_id: str | None = None
    ) -> Attachment:
        """An attachment with an id of its own."""
        return Attachment(
            id=self._identities.attachment_id(),
            name=name,
            content_type=content_type,
            content=content,
            is_inline=is_inline,
            content_id=content_id,
            last_modified_date_time=self._clock.now(),
        )

    def mime(self, body: bytes) -> Changes:
        """The fields of a message posted as MIME in base64 with `Content-Type: text/plain`. Raises GraphError."""
        try:
            source = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error as error:
            raise errors.bad_mime() from error
        mail = mime.parse(source)
        files = [
            self.file(
                name=each.name,
                content_type=each.content_type,
                content=each.content,
                is_inline=each.is_inline,
                content_id=each.content_id,
            )
            for each in mail.files
        ]
        changes: Changes = {
            "subject": mail.subject,
            "body": _stored(mail.body),
            "to": mail.to,
            "cc": mail.cc,
            "bcc": mail.bcc,
            "reply_to": mail.reply_to,
            "in_reply_to": mail.in_reply_to,
            "references": mail.references,
            "headers": mail.headers,
            "attachments": {file.id: file for file in files},
        }
        if mail.internet_message_id:
            changes["internet_message_id"] = mail.internet_message_id
        return changes


def _check_annotation(name: str, value: Any, type_name: str) -> None:
    if name == "@odata.type" and str(value).lower() != f"#microsoft.graph.{type_name}":
        raise errors.bad_request(f"A type named '{value}' could not be resolved by the model.", "RequestBodyRead")


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise errors.wrong_type(name, "Edm.String")
    return value


def _optional_string(name: str, value: Any) -> str:
    return "" if value is None else _string(name, value)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise errors.wrong_type(name, "Edm.Boolean")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise errors.wrong_type(name, "Collection")
    return value


def _object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise errors.wrong_type(name, "object")
    return value


def _known(value: Any, name: str, type_name: str, allowed: frozenset[str]) -> Mapping[str, Any]:
    """An object with no members but these."""
    fields = _object(name, value)
    for member in fields:
        if not member.startswith("@") and member not in allowed:
            raise errors.unknown_property(member, type_name)
    return fields


def _binary(name: str, value: Any) -> bytes:
    try:
        return base64.b64decode(_string(name, value), validate=True)
    except binascii.Error as error:
        raise errors.wrong_type(name, "Edm.Binary") from error


def _one_of(*members: str) -> Callable[[str, Any], str]:
    spelling = {member.lower(): member for member in members}

    def read(name: str, value: Any) -> str:
        text = _string(name, value).lower()
        if text not in spelling:
            raise errors.bad_request(f"Requested value '{value}' was not found.", "RequestBodyRead")
        return spelling[text]

    return read


def _stored(body: Body) -> Body:
    """A body as Exchange keeps it: HTML as a whole document, text as it is."""
    return Body(content=as_html(body)) if body.content_type == "html" else body


def _read_body(name: str, value: Any) -> Body:
    fields = _known(value, name, "itemBody", frozenset({"contentType", "content"}))
    content_type = _one_of("html", "text")("contentType", fields.get("contentType", "text"))
    return _stored(Body(content_type=content_type, content=_optional_string("content", fields.get("content"))))


def _read_recipient(name: str, value: Any) -> Address:
    fields = _known(value, name, "recipient", frozenset({"emailAddress"}))
    inner = _known(fields.get("emailAddress"), "emailAddress", "emailAddress", frozenset({"name", "address"}))
    display_name = inner.get("name")
    return Address(
        name=None if display_name is None else _string("name", display_name),
        address=_optional_string("address", inner.get("address")),
    )


def _read_sender(name: str, value: Any) -> Address | None:
    return None if value is None else _read_recipient(name, value)


def _read_recipients(name: str, value: Any) -> tuple[Address, ...]:
    return tuple(_read_recipient(name, each) for each in _list(name, value))


def _read_strings(name: str, value: Any) -> tuple[str, ...]:
    return tuple(_string(name, each) for each in _list(name, value))


def _read_flag(name: str, value: Any) -> str:
    allowed = frozenset({"flagStatus", "completedDateTime", "dueDateTime", "startDateTime"})
    fields = _known(value, name, "followupFlag", allowed)
    return _one_of("notFlagged", "complete", "flagged")("flagStatus", fields.get("flagStatus", "notFlagged"))


def _read_properties(name: str, value: Any) -> dict[str, str]:
    """Extended properties by id; the forms of the id are in resources/extended-properties-overview."""
    found = {}
    for each in _list(name, value):
        fields = _known(each, name, "singleValueLegacyExtendedProperty", frozenset({"id", "value"}))
        property_id = _string("id", fields.get("id"))
        kind, _, rest = property_id.partition(" ")
        if kind not in _PROPERTY_KINDS or not (rest.startswith("0x") or (rest.startswith("{") and "}" in rest)):
            raise errors.bad_request(f"Property ID values '{property_id}' are invalid.", "ErrorInvalidProperty")
        found[property_id] = _string("value", fields.get("value"))
    return found


def _headers(value: Any) -> tuple[tuple[str, str], ...]:
    found = []
    for each in _list("internetMessageHeaders", value):
        fields = _known(each, "internetMessageHeaders", "internetMessageHeader", frozenset({"name", "value"}))
        name = _string("name", fields.get("name"))
        if not name.lower().startswith("x-"):
            raise errors.bad_header_name(name)
        found.append((name, _string("value", fields.get("value"))))
    if len(found) > MOST_HEADERS:
        raise errors.too_many_headers()
    return tuple(found)


_PROPERTY_KINDS: Final = frozenset(
    {"String", "Integer", "Boolean", "SystemTime", "Binary", "CLSID", "Double", "Float", "Long", "Short"}
)
_WRITABLE: Final[dict[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "subject": ("subject", _optional_string),
    "body": ("body", _read_body),
    "importance": ("importance", _one_of("low", "normal", "high")),
    "toRecipients": ("to", _read_recipients),
    "ccRecipients": ("cc", _read_recipients),
    "bccRecipients": ("bcc", _read_recipients),
    "replyTo": ("reply_to", _read_recipients),
    "from": ("from_", _read_sender),
    "sender": ("sender", _read_sender),
    "internetMessageId": ("internet_message_id", _string),
    "isRead": ("is_read", _boolean),
    "categories": ("categories", _read_strings),
    "flag": ("flag_status", _read_flag),
    "inferenceClassification": ("inference_classification", _one_of("focused", "other")),
    "isDeliveryReceiptRequested": ("is_delivery_receipt_requested", _boolean),
    "isReadReceiptRequested": ("is_read_receipt_requested", _boolean),
    "singleValueExtendedProperties": ("extended_properties", _read_properties),
}
