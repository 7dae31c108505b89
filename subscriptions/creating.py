"""Creating a subscription, once: also after a crash, a lost answer, or a double that Graph refuses."""

import hashlib
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import storage
from storage.subscriptions import Watch
from subscriptions import ledger
from subscriptions.addresses import CHANGE_TYPE, lifecycle_url_beside, resource_of, rich_resource_of
from subscriptions.clock import Clock
from subscriptions.comparing import in_the_way, witnessed
from subscriptions.graph import (
    Encryption,
    GraphSubscription,
    GraphSubscriptions,
    SubscriptionExists,
    SubscriptionRefused,
)
from subscriptions.plan import Create, life_to_ask_for

log = logging.getLogger(__name__)

DOUBLE: Final = (
    "Graph says that there is a subscription for this folder already, and it is not one of this gateway's. "
    "Does another program use the same app registration? Give the gateway one of its own."
)


class Creator:
    """Takes the step `Create`. The `clientState` lives only as long as the call: what is stored is its digest."""

    def __init__(self, store: storage.Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(
        self,
        graph: GraphSubscriptions,
        watch: Watch,
        step: Create,
        notification_url: str,
        encryption: Encryption | None = None,
    ) -> None:
        """Create, after looking for what an earlier attempt may have left. Raises `SubscribingFailed`.

        Where Graph refuses one with `encryption` and takes a plain one, its folder has plain ones for a day.
        """
        is_first_attempt = watch.subscription.failures == 1
        if not is_first_attempt and await self._found_or_cleared(
            graph, watch, notification_url, refused_as_double=False
        ):
            return
        if encryption is None:
            await self._make(graph, watch, step.until, notification_url)
            return
        try:
            await self._make(graph, watch, step.until, notification_url, encryption)
        except SubscriptionRefused as refused:
            until = self._clock.now() + life_to_ask_for(watch.subscription.failures)
            # Only when this succeeds was it the encryption that Graph refused.
            await self._make(graph, watch, until, notification_url)
            reason = f"Microsoft 365 refused notifications with encrypted content. {refused.reason}"
            await self._store.write(ledger.fell_back, watch.subscription.folder_id, reason, self._clock.now())
            log.warning("plain notifications for now", extra=log_fields(watch) | {"plainly": reason} | refused.details)

    async def _make(
        self,
        graph: GraphSubscriptions,
        watch: Watch,
        until: datetime,
        notification_url: str,
        encryption: Encryption | None = None,
    ) -> None:
        try:
            await self._subscribe(graph, watch, until, notification_url, encryption)
        except SubscriptionExists:
            if await self._found_or_cleared(graph, watch, notification_url, refused_as_double=True):
                return
            try:
                await self._subscribe(graph, watch, until, notification_url, encryption)
            except SubscriptionExists as error:
                raise SubscriptionRefused(DOUBLE, details=error.details) from error

    async def _subscribe(
        self,
        graph: GraphSubscriptions,
        watch: Watch,
        until: datetime,
        notification_url: str,
        encryption: Encryption | None,
    ) -> None:
        """The secret is written down as a digest before Graph hears it, and forgotten when Graph has answered."""
        assert watch.user_id is not None  # noqa: S101 - a validated mailbox has one
        client_state = secrets.token_urlsafe(48)
        digest = hashlib.sha256(client_state.encode()).digest()
        row_id, certificate_id = watch.subscription.id, None if encryption is None else encryption.certificate_id
        if not await self._store.write(ledger.about_to_create, row_id, digest, notification_url, certificate_id):
            return
        resource = (resource_of if encryption is None else rich_resource_of)(watch.user_id, watch.well_known)
        held = await graph.create(
            resource=resource,
            change_type=CHANGE_TYPE,
            notification_url=notification_url,
            lifecycle_notification_url=lifecycle_url_beside(notification_url),
            expiration_date_time=until,
            client_state=client_state,
            encryption=encryption,
        )
        await self._went_live(watch, digest, held)

    async def _found_or_cleared(
        self, graph: GraphSubscriptions, watch: Watch, notification_url: str, *, refused_as_double: bool
    ) -> bool:
        """Look at Graph's list: true when ours was found there; otherwise doubles of it are deleted."""
        listed = await graph.list_all()
        account_id, now = watch.subscription.account_id, self._clock.now()
        ours = await self._store.read(ledger.what_is_ours, account_id, notification_url, now)
        watch = next((one for one in ours.watches if one.subscription.id == watch.subscription.id), watch)
        if found := witnessed(watch, listed, notification_url):
            await self._went_live(watch, watch.subscription.client_state_digest, found)
            return True
        doubles = in_the_way(watch, ours, listed, refused_as_double=refused_as_double)
        await delete_doubles(graph, doubles)
        rows = {one.subscription.subscription_id: one.subscription.id for one in ours.watches}
        for double in doubles:
            row_id = rows.get(double.subscription_id)
            if row_id is not None and row_id != watch.subscription.id:
                await self._store.write(ledger.ended, row_id)
        return False

    async def _went_live(self, watch: Watch, digest: bytes, held: GraphSubscription) -> None:
        row_id = watch.subscription.id
        if await self._store.write(ledger.went_live, row_id, digest, held, self._clock.now()):
            log.info("subscribed", extra=log_fields(watch) | {"expires_at": held.expiration_date_time.isoformat()})


async def delete_doubles(graph: GraphSubscriptions, doubles: Sequence[GraphSubscription]) -> None:
    """Delete them at Graph. Raises `SubscribingFailed`."""
    for double in doubles:
        await graph.delete(double.subscription_id)
        log.info("deleted a subscription that nobody knows", extra={"subscription_id": double.subscription_id})


def log_fields(watch: Watch) -> dict[str, object]:
    """What every line about it carries."""
    subscription = watch.subscription
    return {"subscription": subscription.id, "folder_id": subscription.folder_id, "state": subscription.state.value}
