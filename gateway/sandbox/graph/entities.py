"""Entities as Graph writes them: messages, folders, attachments, users, subscriptions."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from gateway.sandbox.clock import precise_timestamp, timestamp
from gateway.sandbox.graph.odata import NOTHING_MORE, Expand
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Address, Attachment, Body, Folder, MailboxKind, Message, User
from gateway.sandbox.subscriptions import Subscription
from gateway.sandbox.text import as_text, preview


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a client wants to see messages."""

    immutable_ids: bool = False
    select: frozenset[str] | None = None
    text_bodies: bool = False
    expand: Expand = NOTHING_MORE

    def id_of(self, message: Message) -> str:
        return message.immutable_id if self.immutable_ids else message.id


def recipient(address: Address | None) -> dict[str, Any] | None:
    if address is None:
        return None
    return {"emailAddress": {"name": address.name or address.address, "address": address.address}}


def _recipients(addresses: tuple[Address, ...]) -> list[dict[str, Any] | None]:
    return [recipient(address) for address in addresses]


def _body(body: Body, view: View) -> dict[str, str]:
    if view.text_bodies:
        return {"contentType": "text", "content": as_text(body)}
    return {"contentType": body.content_type, "content": body.content}


def _web_link(message: Message) -> str:
    item = quote(message.id, safe="")
    return f"https://outlook.office365.com/owa/?ItemID={item}&exvsurl=1&viewmodel=ReadMessageItem"


MESSAGE_PROPERTIES: Final[dict[str, Callable[[Message, View], Any]]] = {
    "createdDateTime": lambda m, v: timestamp(m.created_date_time),
    "lastModifiedDateTime": lambda m, v: timestamp(m.last_modified_date_time),
    "changeKey": lambda m, v: m.change_key,
    "categories": lambda m, v: list(m.categories),
    "receivedDateTime": lambda m, v: timestamp(m.received_date_time),
    "sentDateTime": lambda m, v: timestamp(m.sent_date_time),
    "hasAttachments": lambda m, v: m.has_attachments,
    "internetMessageId": lambda m, v: m.internet_message_id,
    "subject": lambda m, v: m.subject,
    "bodyPreview": lambda m, v: preview(m.body),
    "importance": lambda m, v: m.importance,
    "parentFolderId": lambda m, v: m.folder_id,
    "conversationId": lambda m, v: m.conversation_id,
    "conversationIndex": lambda m, v: base64.b64encode(m.conversation_index).decode(),
    "isDeliveryReceiptRequested": lambda m, v: m.is_delivery_receipt_requested,
    "isReadReceiptRequested": lambda m, v: m.is_read_receipt_requested,
    "isRead": lambda m, v: m.is_read,
    "isDraft": lambda m, v: m.is_draft,
    "webLink": lambda m, v: _web_link(m),
    "inferenceClassification": lambda m, v: m.inference_classification,
    "body": lambda m, v: _body(m.body, v),
    "sender": lambda m, v: recipient(m.sender),
    "from": lambda m, v: recipient(m.from_),
    "toRecipients": lambda m, v: _recipients(m.to),
    "ccRecipients": lambda m, v: _recipients(m.cc),
    "bccRecipients": lambda m, v: _recipients(m.bcc),
    "replyTo": lambda m, v: _recipients(m.reply_to),
    "flag": lambda m, v: {"flagStatus": m.flag_status},
    "uniqueBody": lambda m, v: _body(m.unique_body or m.body, v),
    "internetMessageHeaders": lambda m, v: [{"name": name, "value": value} for name, value in m.headers],
}
ONLY_WHEN_SELECTED: Final = frozenset({"uniqueBody", "internetMessageHeaders"})
SELECTABLE_OF_MESSAGE: Final = frozenset({"id", *MESSAGE_PROPERTIES})


def message(item: Message, view: View) -> dict[str, Any]:
    """A message with its etag, its id, what was selected and what was expanded."""
    out: dict[str, Any] = {"@odata.etag": f'W/"{item.change_key}"', "id": view.id_of(item)}
    for name, read in MESSAGE_PROPERTIES.items():
        if _is_shown(name, item, view):
            out[name] = read(item, view)
    if view.expand.properties:
        found = [
            {"id": name, "value": value}
            for name, value in item.extended_properties.items()
            if name in view.expand.property_ids
        ]
        if found:
            out["singleValueExtendedProperties"] = found
    if view.expand.attachments:
        out["attachments"] = [
            attachment(each, select=view.expand.attachment_select) for each in item.attachments.values()
        ]
    return out


def _is_shown(name: str, item: Message, view: View) -> bool:
    if view.select is None:
        return name not in ONLY_WHEN_SELECTED and not (name in ("sender", "from") and item.from_ is None)
    if name == "internetMessageHeaders":
        return name in view.select and _came_over_the_wire(item)
    return name in view.select


def _came_over_the_wire(item: Message) -> bool:
    """Drafts and copies in Sent Items do not show the headers they were made with."""
    return any(name == "Received" for name, _ in item.headers)


ATTACHMENT_PROPERTIES: Final = frozenset(
    {
        "id",
        "lastModifiedDateTime",
        "name",
        "contentType",
        "size",
        "isInline",
        "contentId",
        "contentLocation",
        "contentBytes",
    }
)


OF_ANY_KIND: Final = ("id", "lastModifiedDateTime", "name", "size", "isInline")


def attachment(item: Attachment, *, select: frozenset[str] | None = None) -> dict[str, Any]:
    """An attachment; of a file `contentBytes` only when they are wanted. A reference does not say where it leads.

    Source: https://learn.microsoft.com/graph/api/resources/referenceattachment
    """
    whole = {
        "id": item.id,
        "lastModifiedDateTime": timestamp(item.last_modified_date_time),
        "name": item.name,
        "contentType": item.content_type,
        "size": item.size,
        "isInline": item.is_inline,
        "contentId": item.content_id,
        "contentLocation": item.content_location,
    }
    if item.kind != "file":
        shown = {name: whole[name] for name in OF_ANY_KIND if select is None or name in select | {"id"}}
        return {"@odata.type": f"#microsoft.graph.{item.kind}Attachment", **shown, "contentType": None}
    if select is None or "contentBytes" in select:
        whole["contentBytes"] = base64.b64encode(item.content).decode()
    shown = whole if select is None else {name: value for name, value in whole.items() if name in select | {"id"}}
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "@odata.mediaContentType": item.content_type,
        **shown,
    }


FOLDER_PROPERTIES: Final = (
    "id", "displayName", "parentFolderId", "childFolderCount", "unreadItemCount", "totalItemCount", "isHidden",
)  # fmt: skip


def folder(item: Folder, mailbox: Mailbox, *, select: frozenset[str] | None = None) -> dict[str, Any]:
    """A mail folder with its counts."""
    held = list(mailbox.messages(item.id))
    whole = {
        "id": item.id,
        "displayName": item.display_name,
        "parentFolderId": item.parent_folder_id,
        "childFolderCount": len(mailbox.folders(item.id)),
        "unreadItemCount": sum(not each.is_read for each in held),
        "totalItemCount": len(held),
        "isHidden": item.is_hidden,
    }
    return {name: value for name, value in whole.items() if select is None or name in select or name == "id"}


BASIC_PROFILE: Final = ("displayName", "givenName", "mail", "surname", "userPrincipalName", "id")
WHOLE_PROFILE: Final = (
    *BASIC_PROFILE,
    "accountEnabled",
    "assignedPlans",
    "deletedDateTime",
    "onPremisesSyncEnabled",
    "proxyAddresses",
    "userType",
)
EXCHANGE_PLAN: Final = "9aaf7827-d63c-4b61-89c3-182f06f82e5c"
"""EXCHANGE_S_STANDARD (learn.microsoft.com/entra/identity/users/licensing-service-plan-reference)."""
UNPLANNED: Final = (MailboxKind.SHARED, MailboxKind.UNLICENSED, MailboxKind.ON_PREMISES, MailboxKind.GUEST)
"""Who has no licence of Exchange Online."""


def user(item: User, *, select: frozenset[str] | None = None) -> dict[str, Any]:
    """A user: by default the basic profile, more by $select."""
    whole: dict[str, Any] = {
        "displayName": item.display_name,
        "givenName": item.given_name,
        "mail": item.mail,
        "surname": item.surname,
        "userPrincipalName": item.user_principal_name,
        "id": item.id,
        "accountEnabled": item.account_enabled,
        "proxyAddresses": [f"SMTP:{item.mail}", *(f"smtp:{alias}" for alias in item.aliases)],
        "userType": "Guest" if item.kind is MailboxKind.GUEST else "Member",
        "assignedPlans": [] if item.kind in UNPLANNED else [_plan()],
        "onPremisesSyncEnabled": True if item.kind is MailboxKind.ON_PREMISES else None,
        "deletedDateTime": None if item.deleted_date_time is None else timestamp(item.deleted_date_time),
    }
    return {
        name: whole[name] for name in WHOLE_PROFILE if (name in BASIC_PROFILE if select is None else name in select)
    }


def _plan() -> dict[str, str]:
    """Source: https://learn.microsoft.com/graph/api/resources/assignedplan"""
    return {
        "assignedDateTime": "2025-01-20T00:00:00Z",
        "capabilityStatus": "Enabled",
        "service": "exchange",
        "servicePlanId": EXCHANGE_PLAN,
    }


def subscription(item: Subscription, *, with_client_state: bool) -> dict[str, Any]:
    """A subscription. Lists do not tell the clientState."""
    return {
        "id": item.id,
        "resource": item.resource,
        "applicationId": item.app_id,
        "changeType": item.change_type,
        "clientState": item.client_state if with_client_state else None,
        "notificationUrl": item.notification_url,
        "notificationQueryOptions": None,
        "notificationContentType": None,
        "lifecycleNotificationUrl": item.lifecycle_notification_url,
        "expirationDateTime": precise_timestamp(item.expiration_date_time),
        "creatorId": item.creator_id,
        "includeResourceData": item.include_resource_data,
        "latestSupportedTlsVersion": item.latest_supported_tls_version,
        "encryptionCertificate": item.encryption_certificate,
        "encryptionCertificateId": item.encryption_certificate_id,
        "notificationUrlAppId": None,
    }
