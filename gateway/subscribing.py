"""Graph's subscriptions in the words of the `subscriptions` package: above all, why Graph said no and what helps."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, ParamSpec, Protocol, TypeVar

from gateway import graph
from gateway.connections import NotConnected
from gateway.graph import (
    AccessDenied,
    BadRequest,
    Conflict,
    CredentialRefused,
    GraphClient,
    GraphError,
    NotFound,
    Throttled,
    TokenError,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from subscriptions.graph import (
    Encryption,
    GraphBusy,
    GraphSubscription,
    GraphSubscriptions,
    SubscribingFailed,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionRefused,
)

P = ParamSpec("P")
T = TypeVar("T")

# Some tenants want it beside Mail.ReadWrite, though that includes it:
# https://learn.microsoft.com/graph/api/subscription-post-subscriptions#permissions
PERMISSION: Final = (
    "Graph does not let the app subscribe to this mailbox. Grant the application permission Mail.Read beside "
    "Mail.ReadWrite and give admin consent; if access is limited to certain mailboxes, this one must be among them."
)
TOO_MANY: Final = "The mailbox has as many subscriptions as Graph allows. Remove those of programs no longer used."
TOO_LONG: Final = "Graph finds the requested life too long. Is this machine's clock right?"
NO_MAILBOX: Final = "Graph finds no such mailbox. Validate it again to see what is wrong with it."
TOKEN: Final = "Graph does not accept the gateway's token. Check the connection of the account."  # noqa: S105
BUSY: Final = "Graph is busy and asks for patience."
TROUBLE: Final = "Graph has trouble of its own."
UNREACHABLE: Final = "Graph cannot be reached. Check the network, DNS and proxy of this machine."

# What Graph says when our URL failed the handshake: samples and users' reports of the codes ValidationError and
# InvalidRequest. The first that matches counts.
HANDSHAKE_CODES: Final = ("ValidationError", "InvalidRequest")
HANDSHAKE_WORDS: Final = re.compile(r"validation ?(request|token)|notification ?(endpoint|url)", re.IGNORECASE)
HANDSHAKE: Final[Sequence[tuple[re.Pattern[str], str]]] = [
    (re.compile(words, re.IGNORECASE), cure)
    for words, cure in (
        (
            r"certificate|\bssl\b|\btls\b|secure channel|trust",
            "the TLS connection failed. It needs a certificate that the public trusts, with its whole chain.",
        ),
        (
            r"\bdns\b|resolve|remote name|no such host|name or service",
            "its name does not resolve. Check the DNS entry of the public URL.",
        ),
        (
            r"timed? ?out",
            "it did not answer within 10 seconds. Check firewall and proxy: Graph calls from the public internet.",
        ),
        (
            r"exactly match",
            "something between Graph and the gateway changes the answer. Let the proxy pass it on untouched.",
        ),
        (
            r"200 ?ok|status code|unauthori[sz]ed|forbidden|not ?found|bad gateway|redirect",
            "something else answers there. Check that the proxy passes /graph/ on to the gateway, without a login.",
        ),
        (
            r"connect|reach|refused",
            "it cannot be connected to. Check firewall and proxy: Graph calls from the public internet.",
        ),
    )
]
HANDSHAKE_OTHERWISE: Final = "Graph does not say what went wrong. Check DNS, certificate, firewall and proxy."


class GraphSource(Protocol):
    """Where an account's client is found."""

    async def graph(self, account_id: str) -> GraphClient:
        """Raises `NotConnected`."""
        ...


class SubscriptionSource:
    """The accounts' subscriptions, as the keeper wants them."""

    def __init__(self, graphs: GraphSource) -> None:
        self._graphs = graphs

    async def subscriptions(self, account_id: str) -> GraphSubscriptions:
        """Raises `SubscriptionRefused` for an account that is not connected."""
        try:
            return ClientSubscriptions(await self._graphs.graph(account_id))
        except NotConnected as error:
            raise SubscriptionRefused(str(error)) from error


class ClientSubscriptions:
    """`GraphSubscriptions` by a `GraphClient`."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    async def create(
        self,
        *,
        resource: str,
        change_type: str,
        notification_url: str,
        lifecycle_notification_url: str,
        expiration_date_time: datetime,
        client_state: str,
        encryption: Encryption | None = None,
    ) -> GraphSubscription:
        """Subscribe."""
        try:
            held = await self._client.create_subscription(
                resource=resource,
                change_type=change_type,
                notification_url=notification_url,
                lifecycle_notification_url=lifecycle_notification_url,
                expiration_date_time=expiration_date_time,
                client_state=client_state,
                encryption=as_asked(encryption),
            )
        except (GraphError, TokenError) as error:
            raise why_not_created(error, notification_url) from error
        return as_held(held)

    async def renew(
        self, subscription_id: str, expiration_date_time: datetime, *, encryption: Encryption | None = None
    ) -> datetime:
        """Ask for a new end."""
        held = await _asked(
            self._client.renew_subscription, subscription_id, expiration_date_time, encryption=as_asked(encryption)
        )
        return held.expiration_date_time

    async def reauthorize(self, subscription_id: str) -> None:
        """Go on until the end that was granted."""
        await _asked(self._client.reauthorize_subscription, subscription_id)

    async def get(self, subscription_id: str) -> GraphSubscription:
        """One, by Graph's id."""
        return as_held(await _asked(self._client.get_subscription, subscription_id))

    async def list_all(self) -> Sequence[GraphSubscription]:
        """All of the app's."""
        return [as_held(held) for held in await _asked(self._client.list_subscriptions)]

    async def delete(self, subscription_id: str) -> None:
        """End it."""
        await _asked(self._client.delete_subscription, subscription_id)


async def _asked(call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await call(*args, **kwargs)
    except (GraphError, TokenError) as error:
        raise why_not(error) from error


def as_held(held: graph.GraphSubscription) -> GraphSubscription:
    """What the keeper wants to know of a subscription at Graph."""
    return GraphSubscription(
        subscription_id=held.id,
        resource=held.resource,
        notification_url=held.notification_url,
        expiration_date_time=held.expiration_date_time,
    )


def as_asked(encryption: Encryption | None) -> graph.Encryption | None:
    """The same, as the client wants it."""
    if encryption is None:
        return None
    return graph.Encryption(certificate=encryption.certificate, certificate_id=encryption.certificate_id)


def why_not_created(error: GraphError | TokenError, notification_url: str) -> SubscribingFailed:
    """As `why_not`, for a call that makes Graph look at our URLs and at the mailbox."""
    match error:
        case NotFound():
            return SubscriptionRefused(NO_MAILBOX, details=error.log_fields())
        case BadRequest() if error.is_code(*HANDSHAKE_CODES) or HANDSHAKE_WORDS.search(error.message):
            return SubscriptionRefused(handshake_failed(error.message, notification_url), details=error.log_fields())
    return why_not(error)


def handshake_failed(message: str, notification_url: str) -> str:
    """Why Graph could not shake hands with our URL, as far as its message tells."""
    cure = next((cure for words, cure in HANDSHAKE if words.search(message)), HANDSHAKE_OTHERWISE)
    return f"Graph tried {notification_url}: {cure}"


def why_not(error: GraphError | TokenError) -> SubscribingFailed:
    """What a failure means for subscriptions, in plain words."""
    details = error.log_fields()
    match error:
        case CredentialRefused():
            return SubscriptionRefused(f"{error.explanation} {error.cure}", details=details)
        case TokenError():
            return GraphBusy(error.explanation, retry_after=error.retry_after, details=details)
        case NotFound():
            return SubscriptionGone("Graph does not know this subscription any more.", details=details)
        case Conflict():
            return SubscriptionExists("There is a subscription for this resource already.", details=details)
        case Unreachable():
            return GraphBusy(UNREACHABLE, details=details)
        case Throttled():
            return GraphBusy(BUSY, retry_after=error.retry_after, details=details)
        case Unavailable():
            return GraphBusy(TROUBLE, retry_after=error.retry_after, details=details)
    return SubscriptionRefused(why_refused(error), details=details)


def why_refused(error: GraphError) -> str:
    """For what will be refused again until somebody changes something."""
    match error:
        case AccessDenied():
            return TOO_MANY if re.search(r"\blimit\b|maximum", error.message, re.IGNORECASE) else PERMISSION
        case Unauthorized():
            return TOKEN
        case BadRequest() if re.search(r"expiration", error.message, re.IGNORECASE):
            return TOO_LONG
    named = f" ({error.code})" if error.code else ""
    return f"Graph answered with something that the gateway does not know{named}. It tries again."
