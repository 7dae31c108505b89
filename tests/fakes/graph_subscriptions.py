"""Graph's side of subscriptions, in memory, with its own clock and its bad days."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from subscriptions.addresses import same_resource
from subscriptions.clock import Clock
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

T = TypeVar("T")

LONGEST_LIFE = timedelta(minutes=10_070)
LONGEST_RICH_LIFE = timedelta(minutes=1_440)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A subscription as Graph holds it, secret and all."""

    subscription: GraphSubscription
    change_type: str
    lifecycle_notification_url: str
    client_state: str
    encryption: Encryption | None = None


async def nothing(client_state: str, subscription_id: str) -> None:
    """What happens between Graph's deed and its answer, mostly."""


class FakeGraph:
    """Grants what is asked, up to the longest life. `fail` is for the next call of that name, or for all of them."""

    def __init__(self, clock: Clock, *, refuses_doubles: bool = True) -> None:
        self._clock = clock
        self._ids = itertools.count(1)
        self._held: dict[str, Held] = {}
        self._failures: dict[str, list[tuple[SubscribingFailed, bool]]] = {}
        self.broken: dict[str, SubscribingFailed] = {}
        self.refuses_doubles = refuses_doubles
        self.refuses_encryption = False
        self.refuses_other_certificates = False
        self.longest_life = LONGEST_LIFE
        self.calls: list[str] = []
        self.on_call: Callable[[str], None] = lambda name: None
        self.before_answering: Callable[[str, str], Awaitable[None]] = nothing
        self.at_once = 0
        self.most_at_once = 0

    async def subscriptions(self, account_id: str) -> GraphSubscriptions:
        return self

    def fail(self, name: str, error: SubscribingFailed | None = None, *, done_all_the_same: bool = False) -> None:
        """Let the next call of `name` fail; with `done_all_the_same` only its answer is lost."""
        self._failures.setdefault(name, []).append((error or GraphBusy("The answer was lost."), done_all_the_same))

    def calm(self) -> None:
        """No more bad days."""
        self._failures.clear()
        self.broken.clear()
        self.refuses_encryption = False
        self.refuses_other_certificates = False

    @property
    def held(self) -> list[Held]:
        """What is alive now, by Graph's clock."""
        now = self._clock.now()
        return [held for held in self._held.values() if held.subscription.expiration_date_time > now]

    def of_resource(self, resource: str) -> list[Held]:
        return [held for held in self.held if same_resource(held.subscription.resource, resource)]

    def remove(self, subscription_id: str) -> None:
        """It is gone, for reasons of Graph's own."""
        self._held.pop(subscription_id, None)

    def add(self, resource: str, notification_url: str, *, client_state: str = "somebody's") -> GraphSubscription:
        """One that the gateway has not made, or has forgotten."""
        return self._make(
            resource, "created", notification_url, "", self._clock.now() + timedelta(days=3), client_state
        )

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
        lost = await self._call("create")
        self._check_life(expiration_date_time, is_rich=encryption is not None)
        if encryption is not None and (self.refuses_encryption or "?$select=" not in resource):
            raise SubscriptionRefused("includeResourceData is not for this app.")
        if self.refuses_doubles and self.of_resource(resource):
            raise SubscriptionExists("Subscription Id <> already exists for the requested combination")
        made = self._make(
            resource,
            change_type,
            notification_url,
            lifecycle_notification_url,
            expiration_date_time,
            client_state,
            encryption,
        )
        await self.before_answering(client_state, made.subscription_id)
        self.on_call("after create")
        return answer(made, lost)

    async def renew(
        self, subscription_id: str, expiration_date_time: datetime, *, encryption: Encryption | None = None
    ) -> datetime:
        lost = await self._call("renew")
        held = self._find(subscription_id)
        self._check_life(expiration_date_time, is_rich=held.encryption is not None)
        if encryption is not None and (held.encryption is None or self.refuses_other_certificates):
            raise SubscriptionRefused("encryptionCertificate cannot be changed.")
        self._replace(held, expiration_date_time, encryption or held.encryption)
        return answer(expiration_date_time, lost)

    async def reauthorize(self, subscription_id: str) -> None:
        lost = await self._call("reauthorize")
        self._find(subscription_id)
        answer(None, lost)

    async def get(self, subscription_id: str) -> GraphSubscription:
        await self._call("get")
        return self._find(subscription_id).subscription

    async def list_all(self) -> Sequence[GraphSubscription]:
        await self._call("list")
        return [held.subscription for held in self.held]

    async def delete(self, subscription_id: str) -> None:
        lost = await self._call("delete")
        self.remove(subscription_id)
        answer(None, lost)

    async def _call(self, name: str) -> SubscribingFailed | None:
        """Fail now, or return the error that is to stand in the answer's place."""
        self.calls.append(name)
        self.on_call(f"before {name}")
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if name in self.broken:
            raise self.broken[name]
        failures = self._failures.get(name)
        if not failures:
            return None
        error, done_all_the_same = failures.pop(0)
        if not done_all_the_same:
            raise error
        return error

    def _find(self, subscription_id: str) -> Held:
        for held in self.held:
            if held.subscription.subscription_id == subscription_id:
                return held
        raise SubscriptionGone("The object was not found.")

    def _check_life(self, expiration_date_time: datetime, *, is_rich: bool) -> None:
        longest = min(self.longest_life, LONGEST_RICH_LIFE) if is_rich else self.longest_life
        if expiration_date_time > self._clock.now() + longest:
            raise SubscriptionRefused("Subscription expiration can only be 10070 minutes in the future.")

    def _make(
        self,
        resource: str,
        change_type: str,
        notification_url: str,
        lifecycle_notification_url: str,
        expiration_date_time: datetime,
        client_state: str,
        encryption: Encryption | None = None,
    ) -> GraphSubscription:
        made = GraphSubscription(
            subscription_id=f"00000000-0000-0000-0000-{next(self._ids):012}",
            resource=resource,
            notification_url=notification_url,
            expiration_date_time=expiration_date_time,
        )
        self._held[made.subscription_id] = Held(
            subscription=made,
            change_type=change_type,
            lifecycle_notification_url=lifecycle_notification_url,
            client_state=client_state,
            encryption=encryption,
        )
        return made

    def _replace(self, held: Held, expiration_date_time: datetime, encryption: Encryption | None) -> None:
        one = held.subscription
        self._held[one.subscription_id] = Held(
            subscription=GraphSubscription(
                subscription_id=one.subscription_id,
                resource=one.resource,
                notification_url=one.notification_url,
                expiration_date_time=expiration_date_time,
            ),
            change_type=held.change_type,
            lifecycle_notification_url=held.lifecycle_notification_url,
            client_state=held.client_state,
            encryption=encryption,
        )


def answer(value: T, lost: SubscribingFailed | None) -> T:
    if lost is not None:
        raise lost
    return value
