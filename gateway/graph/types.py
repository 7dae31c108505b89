"""Graph's other nouns: pages of changes, folders, users, subscriptions. As `message.py`: `from_graph` raises
UnexpectedAnswer and nothing else, whatever JSON it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from . import parsing
from .errors import UnexpectedAnswer
from .message import Message
from .parsing import Json

GOOD_PLANS: Final = frozenset({"enabled", "warning"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """An item that left the folder: deleted, or moved. Ask for it by id before believing in deletion."""

    id: str
    reason: str | None  # "deleted" or "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An item of a page that is not what Microsoft documents; the others of its page are unharmed."""

    id: str | None
    problem: str  # names the member, never its value


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaPage:
    """One page of a delta round: exactly one of the links is there. Links carry state: keep them out of logs.

    A page may be empty and still have a `next_link`; the same message may come twice, last wins.
    Source: https://learn.microsoft.com/graph/delta-query-overview
    """

    items: tuple[Message | Removed, ...]
    next_link: str | None = field(repr=False)
    delta_link: str | None = field(repr=False)
    unreadable: tuple[Unreadable, ...] = ()

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        next_link = parsing.text(payload, "@odata.nextLink") or None
        delta_link = parsing.text(payload, "@odata.deltaLink") or None
        if (next_link is None) == (delta_link is None):
            raise UnexpectedAnswer("a delta page has one link, this one has both or none")
        if (values := payload.get("value")) is None or not isinstance(values, list):
            raise UnexpectedAnswer("value is not a list")
        read = [delta_item(value) for value in values]
        return cls(
            items=tuple(item for item in read if not isinstance(item, Unreadable)),
            next_link=next_link,
            delta_link=delta_link,
            unreadable=tuple(item for item in read if isinstance(item, Unreadable)),
        )


def delta_item(value: object) -> Message | Removed | Unreadable:
    try:
        payload = parsing.as_object(value, "an item")
        if "@removed" in payload:
            removed = parsing.an_object(payload, "@removed") or {}
            return Removed(id=parsing.required_text(payload, "id"), reason=parsing.text(removed, "reason"))
        return Message.from_graph(payload)
    except UnexpectedAnswer as error:
        id = value.get("id") if isinstance(value, Mapping) else None
        return Unreadable(id=id if isinstance(id, str) else None, problem=error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFolder:
    """A folder; its id is constant. `total_item_count` counts every kind of item, not mail alone."""

    id: str
    display_name: str | None = None
    parent_folder_id: str | None = None
    total_item_count: int | None = None

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        return cls(
            id=parsing.required_text(payload, "id"),
            display_name=parsing.text(payload, "displayName"),
            parent_folder_id=parsing.text(payload, "parentFolderId"),
            total_item_count=parsing.integer(payload, "totalItemCount"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user's basic profile. `mail` may differ from `user_principal_name`, and be absent."""

    id: str
    display_name: str | None
    mail: str | None
    user_principal_name: str | None

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        return cls(
            id=parsing.required_text(payload, "id"),
            display_name=parsing.text(payload, "displayName"),
            mail=parsing.text(payload, "mail"),
            user_principal_name=parsing.text(payload, "userPrincipalName"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCredential:
    """A client secret of an app, without its value. `hint` is how that begins.

    Source: https://learn.microsoft.com/graph/api/resources/passwordcredential
    """

    key_id: str | None
    hint: str | None
    end_date_time: datetime | None

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        return cls(
            key_id=parsing.text(payload, "keyId"),
            hint=parsing.text(payload, "hint"),
            end_date_time=parsing.moment(payload, "endDateTime"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What more of a user only User.Read.All shows. `has_exchange_plan`: a licence for a mailbox is assigned and good.

    Source: https://learn.microsoft.com/graph/api/resources/assignedplan, `service` and `capabilityStatus`
    """

    id: str
    is_guest: bool
    is_synchronised: bool
    has_exchange_plan: bool

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        plans = parsing.objects(payload, "assignedPlans") or ()
        return cls(
            id=parsing.required_text(payload, "id"),
            is_guest=(parsing.text(payload, "userType") or "").casefold() == "guest",
            is_synchronised=parsing.flag(payload, "onPremisesSyncEnabled") is True,
            has_exchange_plan=any(
                (parsing.text(plan, "service") or "").casefold() == "exchange"
                and (parsing.text(plan, "capabilityStatus") or "").casefold() in GOOD_PLANS
                for plan in plans
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSubscription:
    """A subscription as Graph holds it. A list never shows `client_state`.

    Source: https://learn.microsoft.com/graph/api/resources/subscription
    """

    id: str
    resource: str
    change_type: str
    notification_url: str
    lifecycle_notification_url: str | None
    expiration_date_time: datetime
    client_state: str | None = field(default=None, repr=False)

    @classmethod
    def from_graph(cls, payload: Json) -> Self:
        return cls(
            id=parsing.required_text(payload, "id"),
            resource=parsing.required_text(payload, "resource"),
            change_type=parsing.text(payload, "changeType") or "",
            notification_url=parsing.text(payload, "notificationUrl") or "",
            lifecycle_notification_url=parsing.text(payload, "lifecycleNotificationUrl") or None,
            expiration_date_time=parsing.required_moment(payload, "expirationDateTime"),
            client_state=parsing.text(payload, "clientState"),
        )
