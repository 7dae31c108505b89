"""Telling the subscriber: handshakes, change notifications in batches with retries, lifecycle notifications."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from gateway.sandbox.agenda import Agenda
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.clock import precise_timestamp
from gateway.sandbox.identity import Identities
from gateway.sandbox.mailbox import Event
from gateway.sandbox.rich import ResourceData
from gateway.sandbox.subscriptions import Subscription, Subscriptions

HANDSHAKE_TIMEOUT = timedelta(seconds=10)
NOTIFICATION_TIMEOUT = timedelta(seconds=3)
RETRY_TIMEOUT = timedelta(seconds=10)


class LifecycleEvent(StrEnum):
    """Graph's `lifecycleEventType`."""

    MISSED = "missed"
    SUBSCRIPTION_REMOVED = "subscriptionRemoved"
    REAUTHORIZATION_REQUIRED = "reauthorizationRequired"


class HandshakeFailed(Exception):
    """The endpoint did not prove that it wants to be told. `code` and the text are Graph's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Notifier:
    """Posts to subscribers. Each URL has its queue; a request holds what has gathered in `notification_delay`."""

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        agenda: Agenda,
        identities: Identities,
        behaviour: Callable[[], Behaviour],
        subscriptions: Subscriptions,
        resource_data: ResourceData,
        tenant_id: str,
        lots: random.Random,
    ) -> None:
        self._http = http
        self._agenda = agenda
        self._identities = identities
        self._behaviour = behaviour
        self._subscriptions = subscriptions
        self._resource_data = resource_data
        self._tenant_id = tenant_id
        self._lots = lots
        self._queues: dict[str, list[dict[str, Any]]] = {}
        self.delivered = 0
        self.lost = 0

    async def handshake(self, url: str) -> None:
        """Ask for an echo (concepts/change-notifications-delivery-webhooks). Raises HandshakeFailed."""
        token = f"Validation: Testing client application reachability for subscription {self._identities.guid()}"
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT.total_seconds()):
                answer = await self._http.post(
                    _with_parameter(url, "validationToken", token),
                    headers={"Content-Type": "text/plain; charset=utf-8"},
                    follow_redirects=False,
                )
        except (TimeoutError, httpx.TimeoutException) as late:
            raise HandshakeFailed("ValidationError", "Subscription validation request timed out.") from late
        except httpx.HTTPError as broken:
            raise HandshakeFailed(
                "ValidationError", f"{_FAILED} Notification endpoint could not be reached."
            ) from broken
        if answer.status_code != httpx.codes.OK:
            raise HandshakeFailed("ValidationError", f"{_FAILED} {_WANTS_200}")
        is_text = answer.headers.get("content-type", "").split(";")[0].strip().lower() == "text/plain"
        if not is_text or answer.text != token:
            raise HandshakeFailed("ValidationError", f"{_FAILED} {_WANTS_ECHO}")

    def tell(self, event: Event) -> None:
        """Queue a change for everyone who subscribed to it."""
        if not self._behaviour().notifications:
            return
        for subscription in self._subscriptions:
            if subscription.wants(event):
                for _ in range(self._times()):
                    self.enqueue(subscription.notification_url, self.change_notification(subscription, event))

    def _times(self) -> int:
        """How often the next change notification is sent: mostly once."""
        if self._lots.random() < self._behaviour().notifications_lost:
            self.lost += 1
            return 0
        return 2 if self._lots.random() < self._behaviour().notifications_doubled else 1

    def tell_lifecycle(self, subscription: Subscription, event: LifecycleEvent) -> None:
        """Queue a lifecycle notification, if the subscription has a URL for them."""
        if subscription.lifecycle_notification_url is not None:
            item = {**self._envelope(subscription), "lifecycleEvent": event.value}
            self.enqueue(subscription.lifecycle_notification_url, item)

    def enqueue(self, url: str, item: dict[str, Any]) -> None:
        """Send an item to a URL together with what else is waiting for it."""
        queue = self._queues.setdefault(url, [])
        queue.append(item)
        if len(queue) == 1:
            self._agenda.after(self._behaviour().notification_delay, lambda: self._flush(url))

    def change_notification(self, subscription: Subscription, event: Event) -> dict[str, Any]:
        """An item as Outlook sends it (concepts/outlook-change-notifications-overview), rich if that was asked for."""
        message_id = event.immutable_id if subscription.immutable_ids else event.id
        resource = f"Users/{event.mailbox.user.id}/Messages/{message_id}"
        content = self._resource_data.encrypted(subscription, event)
        return {
            **self._envelope(subscription),
            "changeType": event.change_type.value,
            "resource": resource,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Message",
                "@odata.id": resource,
                "@odata.etag": f'W/"{event.change_key}"',
                "id": message_id,
            },
            **({} if content is None else {"encryptedContent": content}),
        }

    def _envelope(self, subscription: Subscription) -> dict[str, Any]:
        return {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": precise_timestamp(subscription.expiration_date_time),
            "clientState": subscription.client_state,
            "tenantId": self._tenant_id,
        }

    async def _flush(self, url: str) -> None:
        items = self._queues.pop(url, [])
        if self._behaviour().notifications_shuffled:
            self._lots.shuffle(items)
        size = self._behaviour().notifications_per_request
        for start in range(0, len(items), size):
            await self._post(url, items[start : start + size], attempt=0)

    async def _post(self, url: str, items: list[dict[str, Any]], *, attempt: int) -> None:
        if await self._accepted(url, items, RETRY_TIMEOUT if attempt else NOTIFICATION_TIMEOUT):
            self.delivered += len(items)
            return
        delays = self._behaviour().notification_retry_delays
        if attempt == len(delays):
            self.lost += len(items)
            return
        self._agenda.after(delays[attempt], lambda: self._post(url, items, attempt=attempt + 1), is_retry=True)

    async def _accepted(self, url: str, items: list[dict[str, Any]], timeout: timedelta) -> bool:
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                answer = await self._http.post(
                    url,
                    content=orjson.dumps(self._body(items)),
                    headers={"Content-Type": "application/json; charset=utf-8"},
                    follow_redirects=False,
                )
        except (TimeoutError, httpx.HTTPError):
            return False
        return answer.is_success

    def _body(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """With encrypted content come tokens, or null where Microsoft's app for notifications is not let in."""
        if not any("encryptedContent" in item for item in items):
            return {"value": items}
        is_let_in = self._behaviour().validation_tokens
        return {"value": items, "validationTokens": self._resource_data.validation_tokens(items) if is_let_in else None}


_FAILED = "Subscription validation request failed."
_WANTS_200 = "Notification endpoint must respond with 200 OK to validation request."
_WANTS_ECHO = "Response must exactly match validationToken query parameter."


def _with_parameter(url: str, name: str, value: str) -> str:
    """The URL with one more parameter; its own query string is kept."""
    return f"{url}{'&' if '?' in url else '?'}{name}={quote(value, safe='')}"
