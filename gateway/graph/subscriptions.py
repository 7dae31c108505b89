"""Subscriptions to change notifications.

Source: https://learn.microsoft.com/graph/api/resources/subscription
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from . import wire
from .errors import NotFound
from .resource import Resource
from .types import GraphSubscription
from .wire import Request, Retry

# Graph shakes hands with both of our URLs before it answers, 10 s each:
# https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
HANDSHAKES: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """For whom Graph is to encrypt: the base64 of a DER certificate, and what we call it, in at most 128 characters.

    Source: https://learn.microsoft.com/graph/change-notifications-with-resource-data
    """

    certificate: str
    certificate_id: str

    def members(self) -> dict[str, str]:
        return {"encryptionCertificate": self.certificate, "encryptionCertificateId": self.certificate_id}


class Subscriptions(Resource):
    async def create_subscription(
        self,
        *,
        resource: str,
        change_type: str,
        notification_url: str,
        lifecycle_notification_url: str | None,
        expiration_date_time: datetime,
        client_state: str,
        encryption: Encryption | None = None,
    ) -> GraphSubscription:
        """Subscribe, with immutable ids for all its notifications. Graph calls both URLs before it answers.

        With `encryption` the notifications bring what `resource` selects, never the body; it must select something,
        and ends within 1,440 minutes: https://learn.microsoft.com/graph/outlook-change-notifications-overview

        Repeated only where Graph refused (429, 503 with Retry-After) or nothing was sent: after an Unreachable or
        Unavailable there may be a subscription, so list. Conflict: there is one for this resource already.
        BadRequest: our URL cannot be reached, or the life asked for is too long; `expiration_date_time` of the
        answer is what was granted.
        """
        body: dict[str, object] = {
            "changeType": change_type,
            "notificationUrl": notification_url,
            "resource": resource,
            "expirationDateTime": wire.utc_text(expiration_date_time),
            "clientState": client_state,
        }
        if lifecycle_notification_url is not None:
            body["lifecycleNotificationUrl"] = lifecycle_notification_url
        if encryption is not None:
            body |= {"includeResourceData": True, **encryption.members()}
        request = Request(
            method="POST",
            route="subscriptions",
            url=self._graph.url("subscriptions"),
            retry=Retry.IF_REFUSED,
            expect=201,
            content=orjson.dumps(body),
            timeout=HANDSHAKES,
        )
        return GraphSubscription.from_graph(await self._graph.json(request))

    async def renew_subscription(
        self, id: str, expiration_date_time: datetime, *, encryption: Encryption | None = None
    ) -> GraphSubscription:
        """A new end, which also reauthorizes, and a new certificate if there is one. NotFound: it is gone.

        Never within 10 minutes of `reauthorize_subscription`:
        https://learn.microsoft.com/graph/change-notifications-lifecycle-events
        """
        body = {"expirationDateTime": wire.utc_text(expiration_date_time)}
        if encryption is not None:
            body |= encryption.members()
        request = self._one("PATCH", id, expect=200, content=orjson.dumps(body), timeout=HANDSHAKES)
        return GraphSubscription.from_graph(await self._graph.json(request))

    async def reauthorize_subscription(self, id: str) -> None:
        """Answer `reauthorizationRequired` without a new end. Repeated only where Graph refused."""
        request = Request(
            method="POST",
            route="subscriptions/{id}/reauthorize",
            url=self._graph.url(f"subscriptions/{wire.segment(id)}/reauthorize"),
            retry=Retry.IF_REFUSED,
            expect=204,
        )
        await self._graph.done(request)

    async def get_subscription(self, id: str) -> GraphSubscription:
        return GraphSubscription.from_graph(await self._graph.json(self._one("GET", id, expect=200)))

    async def list_subscriptions(self) -> list[GraphSubscription]:
        """All of this app's in this tenant, for all mailboxes; `client_state` is not shown."""
        request = Request(
            method="GET",
            route="subscriptions",
            url=self._graph.url("subscriptions"),
            retry=Retry.HARMLESS,
            expect=200,
        )
        return [GraphSubscription.from_graph(item) async for item in self._items(request)]

    async def delete_subscription(self, id: str) -> None:
        """End it; one that is gone already is as good."""
        try:
            await self._graph.done(self._one("DELETE", id, expect=204))
        except NotFound:
            return

    def _one(
        self,
        method: str,
        id: str,
        *,
        expect: int,
        content: bytes | None = None,
        timeout: timedelta = timedelta(seconds=30),
    ) -> Request:
        return Request(
            method=method,
            route="subscriptions/{id}",
            url=self._graph.url(f"subscriptions/{wire.segment(id)}"),
            retry=Retry.HARMLESS,
            expect=expect,
            content=content,
            timeout=timeout,
        )
