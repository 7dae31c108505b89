"""The sandbox: the one place that joins its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette

from gateway.sandbox import app
from gateway.sandbox.agenda import Agenda
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.clock import Clock, SystemClock
from gateway.sandbox.entra import Entra
from gateway.sandbox.faults import Faults
from gateway.sandbox.graph.service import GraphService
from gateway.sandbox.notifier import LifecycleEvent, Notifier
from gateway.sandbox.rich import ResourceData
from gateway.sandbox.subscriptions import Subscription
from gateway.sandbox.tokens import TokenMint
from gateway.sandbox.world import World


class Sandbox:
    """Microsoft 365 in a box. `app` serves it, `world` is what is in it, `faults` is the trouble to come.

    `http` is the client by which notifications and handshakes are posted; it belongs to the caller, while the one made
    in its absence lives as long as `running()`.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        http: httpx.AsyncClient | None = None,
        behaviour: Behaviour | None = None,
        seed: int | str = 0,
    ) -> None:
        self.clock = clock or SystemClock()
        self._agenda = Agenda(self.clock)
        self._own_http = http is None
        self._http = http or httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=httpx.Timeout(10))
        self.world = World(clock=self.clock, agenda=self._agenda, behaviour=behaviour or Behaviour(), seed=seed)
        self.faults = Faults()
        mint = TokenMint()
        self.entra = Entra(world=self.world, mint=mint)
        self.notifier = Notifier(
            http=self._http,
            agenda=self._agenda,
            identities=self.world.identities,
            behaviour=lambda: self.world.behaviour,
            subscriptions=self.world.subscriptions,
            resource_data=ResourceData(world=self.world, mint=mint),
            tenant_id=self.world.tenant,
            lots=self.world.lots,
        )
        self.world.listeners.append(self.notifier.tell)
        self.graph = GraphService(world=self.world, notifier=self.notifier, mint=mint, faults=self.faults)
        self.app: Starlette = app.build(self)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Sandbox"]:
        """Carry mail, answer letters and notify subscribers while the block lasts. The app's lifespan does the same."""
        try:
            async with self._agenda.running():
                yield self
        finally:
            if self._own_http:
                await self._http.aclose()

    async def settle(self) -> None:
        """Wait until no mail, answer or notification is under way. Retries that are not yet due are not waited for."""
        await self._agenda.settle()

    def tell_lifecycle(self, subscription_id: str, event: LifecycleEvent | str) -> None:
        """Send a lifecycle notification about a living subscription. Raises KeyError if there is none."""
        subscription = self.world.subscriptions.find(subscription_id)
        if subscription is None:
            raise KeyError(subscription_id)
        self.notifier.tell_lifecycle(subscription, LifecycleEvent(event))

    def revoke_subscription(self, subscription_id: str) -> Subscription:
        """Remove a subscription and say so with `subscriptionRemoved`. Raises KeyError if there is none."""
        subscription = self.world.remove_subscription(subscription_id)
        self.notifier.tell_lifecycle(subscription, LifecycleEvent.SUBSCRIPTION_REMOVED)
        return subscription
