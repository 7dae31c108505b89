"""What this package needs of Microsoft Graph, and how Graph says no.

SubscribingFailed        `reason` is a sentence for people; the same step is tried again later
├── SubscriptionGone     there is no such subscription (any more)
├── SubscriptionExists   there is one for this resource already
├── SubscriptionRefused  Graph, or what stands between us, will say no until somebody changes something
└── GraphBusy            throttled, out of order, unreachable: what was asked may have been done all the same
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSubscription:
    """A subscription as Graph holds it. Its `clientState` is never shown again."""

    subscription_id: str
    resource: str
    notification_url: str
    expiration_date_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """For whom Graph is to encrypt: the base64 of a DER certificate, and what we call it."""

    certificate: str
    certificate_id: str


class SubscribingFailed(Exception):
    """A call that did not succeed. `details` are for the log: ids and codes, nobody's words."""

    def __init__(self, reason: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = dict(details or {})


class SubscriptionGone(SubscribingFailed):
    """There is no such subscription: create another."""


class SubscriptionExists(SubscribingFailed):
    """There is one for this resource already."""


class SubscriptionRefused(SubscribingFailed):
    """It will be refused again until somebody changes something; `reason` says who and what."""


class GraphBusy(SubscribingFailed):
    """It may succeed a little later, and not before `retry_after` if Graph named a time."""

    def __init__(
        self, reason: str, *, retry_after: timedelta | None = None, details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(reason, details=details)
        self.retry_after = retry_after


class GraphSubscriptions(Protocol):
    """The subscriptions of one app in one tenant. Every method may raise `SubscribingFailed`."""

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
        """Subscribe, with immutable ids. Graph calls both URLs before it answers. Raises `SubscriptionExists`.

        With `encryption` notifications bring what `resource` selects.
        """
        ...

    async def renew(
        self, subscription_id: str, expiration_date_time: datetime, *, encryption: Encryption | None = None
    ) -> datetime:
        """Ask for a new end, which also reauthorizes; the end that was granted. Raises `SubscriptionGone`.

        With `encryption` another certificate takes the place of the one before.
        """
        ...

    async def reauthorize(self, subscription_id: str) -> None:
        """Go on until the end that was granted. Raises `SubscriptionGone`."""
        ...

    async def get(self, subscription_id: str) -> GraphSubscription:
        """Raises `SubscriptionGone`."""
        ...

    async def list_all(self) -> Sequence[GraphSubscription]:
        """All of the app's, also those that others made with the same app."""
        ...

    async def delete(self, subscription_id: str) -> None:
        """End it; one that is gone already is as good."""
        ...


class GraphSource(Protocol):
    """Where an account's subscriptions are reached."""

    async def subscriptions(self, account_id: str) -> GraphSubscriptions:
        """Raises `SubscriptionRefused` for an account that is not connected."""
        ...
