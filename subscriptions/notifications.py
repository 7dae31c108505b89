"""Reading what is posted to the notification URLs: total over any bytes, and trusting none of them.

Source: https://learn.microsoft.com/graph/api/resources/changenotificationcollection
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

import orjson

MAX_BODY_BYTES: Final = 256 * 1024
# Where content comes with the items: 300 with all that the headers of a much forwarded mail take (27 KiB, encrypted and
# in base64), or as many as there may be at all with 8 KiB each.
MAX_RICH_BODY_BYTES: Final = 8 * 1024 * 1024
MAX_ITEMS: Final = 1000
MAX_ID_CHARACTERS: Final = 512
# resources/changenotification says 255, resources/subscription 128
MAX_CLIENT_STATE_CHARACTERS: Final = 255


class MalformedNotification(ValueError):
    """Not a collection of notifications at all; the text says why and repeats nothing of it."""


class NotificationTooLarge(MalformedNotification):
    """More than Graph ever sends."""


class ChangeType(StrEnum):
    """Graph's `changeType`."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class LifecycleEvent(StrEnum):
    """Graph's `lifecycleEvent`. https://learn.microsoft.com/graph/change-notifications-lifecycle-events"""

    REAUTHORIZATION_REQUIRED = "reauthorizationRequired"
    SUBSCRIPTION_REMOVED = "subscriptionRemoved"
    MISSED = "missed"
    UNKNOWN = "unknown"  # a word that we have not met yet


CHANGE_TYPES: Final[Mapping[str, ChangeType]] = {one.value: one for one in ChangeType}
LIFECYCLE_EVENTS: Final[Mapping[str, LifecycleEvent]] = {one.value: one for one in LifecycleEvent}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something happened to a message. Without `message_id` Graph did not say to which.

    `encrypted_content` is as it came: `subscriptions.rich` reads it, once the sender is known.
    """

    subscription_id: str
    client_state: str = field(repr=False)
    tenant_id: str | None
    change_type: ChangeType
    message_id: str | None
    encrypted_content: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Something happened to the subscription itself."""

    subscription_id: str
    client_state: str = field(repr=False)
    tenant_id: str | None
    event: LifecycleEvent


@dataclass(frozen=True, slots=True)
class Malformed:
    """An item that is not what Microsoft documents; `why` names the member and never its value."""

    why: str


Item: TypeAlias = Change | Lifecycle | Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """What one request brings. `validation_tokens` are as they came: `subscriptions.validation_tokens` judges them."""

    items: Sequence[Item]
    validation_tokens: object = field(default=None, repr=False)


def parse(body: bytes, *, longest: int = MAX_BODY_BYTES) -> Notifications:
    """The items, in order. A bad one spoils none of the others. Raises `MalformedNotification`."""
    if len(body) > longest:
        raise NotificationTooLarge(f"The body is longer than {longest} bytes.")
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedNotification("The body is not JSON.") from error
    values = payload.get("value") if isinstance(payload, dict) else None
    if not isinstance(values, list):
        raise MalformedNotification("The body has no list named value.")
    if len(values) > MAX_ITEMS:
        raise NotificationTooLarge(f"There are more than {MAX_ITEMS} items.")
    return Notifications(items=[_item(value) for value in values], validation_tokens=payload.get("validationTokens"))


class _Bad(Exception):
    pass


def _item(value: object) -> Item:
    try:
        if not isinstance(value, dict):
            raise _Bad("the item is not an object")
        subscription_id = _required_text(value, "subscriptionId", MAX_ID_CHARACTERS)
        client_state = _required_text(value, "clientState", MAX_CLIENT_STATE_CHARACTERS)
        tenant_id = _text(value, "tenantId", MAX_ID_CHARACTERS)
        if value.get("lifecycleEvent") is not None:
            return Lifecycle(
                subscription_id=subscription_id,
                client_state=client_state,
                tenant_id=tenant_id,
                event=_lifecycle_event(value),
            )
        return Change(
            subscription_id=subscription_id,
            client_state=client_state,
            tenant_id=tenant_id,
            change_type=_change_type(value),
            message_id=_message_id(value),
            encrypted_content=value.get("encryptedContent"),
        )
    except _Bad as bad:
        return Malformed(str(bad))


def _lifecycle_event(value: Mapping[str, object]) -> LifecycleEvent:
    name = _required_text(value, "lifecycleEvent", MAX_ID_CHARACTERS)
    return LIFECYCLE_EVENTS.get(name, LifecycleEvent.UNKNOWN)


def _change_type(value: Mapping[str, object]) -> ChangeType:
    change_type = CHANGE_TYPES.get(_required_text(value, "changeType", MAX_ID_CHARACTERS).lower())
    if change_type is None:
        raise _Bad("changeType is not one of Graph's")
    return change_type


def _message_id(value: Mapping[str, object]) -> str | None:
    """From `resourceData` alone: `resource` comes in many spellings, and nothing is ever built from it."""
    resource_data = value.get("resourceData")
    if resource_data is None:
        return None
    if not isinstance(resource_data, dict):
        raise _Bad("resourceData is not an object")
    message_id = _text(resource_data, "id", MAX_ID_CHARACTERS)
    if message_id is not None and not message_id.isprintable():
        raise _Bad("resourceData.id has control characters")
    return message_id


def _text(value: Mapping[str, object], name: str, longest: int) -> str | None:
    text = value.get(name)
    if type(text) is str and 0 < len(text) <= longest:  # as nearly always
        return text
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise _Bad(f"{name} is not a string")
    if len(text) > longest:
        raise _Bad(f"{name} is too long")
    return text


def _required_text(value: Mapping[str, object], name: str, longest: int) -> str:
    text = _text(value, name, longest)
    if text is None:
        raise _Bad(f"{name} is missing")
    return text
