"""An account whose events are pushed to receivers of our own making."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import httpx

import storage
from gateway.host.deliver import Deliverer
from gateway.host.post import Poster
from gateway.host.webhooks import HostWebhooks, test
from storage import Transaction, deliveries, events, webhooks
from storage.deliveries import Delivery
from storage.vault import MasterKey
from storage.webhooks import Webhook
from tests.fakes.clock import FakeClock
from tests.host.receiver import Receiver, resolve


@dataclass
class Scene:
    store: storage.Store
    clock: FakeClock
    account_id: str
    key: MasterKey
    receivers: dict[str, Receiver] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process; what the old one had in hand is found by `recover`."""
        poster = Poster((), behind=lambda: httpx.MockTransport(self._route), resolve=resolve)
        self.deliverer = Deliverer(self.store, poster, self.key, self.clock, random=random.Random(1))

    async def _route(self, request: httpx.Request) -> httpx.Response:
        return await self.receivers[request.headers["host"]].answer(request)

    async def add(self, host: str = "selma.example", types: Sequence[str] = ()) -> tuple[Webhook, Receiver]:
        made = await HostWebhooks(self.store, self.key, self.clock).add(
            self.account_id, url=f"https://{host}/events", description=None, types=types
        )
        receiver = self.receivers[host] = Receiver(secret=made.secret)
        return made.webhook, receiver

    async def happens(self, event_type: str = "reply.received", thread_id: str | None = None, **data: object) -> str:
        """An event; its id."""
        return str(await self.store.write(self._record, event_type, thread_id, data))

    def _record(self, tx: Transaction, event_type: str, thread_id: str | None, data: dict[str, object]) -> int:
        events.record(tx, self.account_id, event_type, thread_id=thread_id, data=data, now=self.clock.now())
        return events.last_seq(tx, self.account_id)

    async def test_event(self, webhook: Webhook) -> str:
        return str(await self.store.write(test, self.account_id, webhook.id, now=self.clock.now()))

    async def passes(self, duration: timedelta, *, in_steps_of: timedelta = timedelta(minutes=10)) -> None:
        """Time, while the gateway delivers what comes due."""
        until = self.clock.now() + duration
        while self.clock.now() < until:
            self.clock.advance(min(in_steps_of, until - self.clock.now()))
            await self.deliverer.run_due()

    async def webhook(self, webhook: Webhook) -> Webhook:
        return await self.store.read(webhooks.by_id, webhook.id)

    async def delivery(self, webhook: Webhook, event_id: str) -> Delivery:
        return await self.store.read(deliveries.get, webhook.id, int(event_id))

    async def told(self) -> list[str]:
        """The types of all events, in order."""
        return [one.type for one in await self.store.read(events.after, self.account_id, 0, limit=1000)]
