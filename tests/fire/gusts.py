"""Graph in a storm: batches of notifications over many connections, each timed, and posted again when refused."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httpx
import orjson

from subscriptions.addresses import NOTIFICATIONS

LARGEST: Final = 100  # items in a request
PATIENCE_S: Final = 30
NO_ANSWER: Final = "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A message that is told of, and the subscription by which: what an item needs."""

    subscription_id: str
    client_state: str
    tenant_id: str
    message_id: str

    def item(self) -> dict[str, object]:
        """As Outlook sends it (https://learn.microsoft.com/graph/outlook-change-notifications-overview)."""
        resource = f"Users/{self.tenant_id}/Messages/{self.message_id}"
        return {
            "subscriptionId": self.subscription_id,
            "clientState": self.client_state,
            "tenantId": self.tenant_id,
            "changeType": "created",
            "resource": resource,
            "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "@odata.id": resource, "id": self.message_id},
        }


@dataclass(slots=True, kw_only=True)
class Heard:
    """What the gateway said. `acknowledged` counts, by message, the requests with it that were answered with 202."""

    answers: Counter[str] = field(default_factory=Counter)
    durations_s: list[float] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    notifications: int = 0
    took_s: float = 0.0


def batches(told: Sequence[Told], notifications: int, chance: random.Random) -> Iterator[list[Told]]:
    """Requests of 1 to 100 items, until so many notifications are in them."""
    left = notifications
    while left:
        size = min(left, chance.randint(1, LARGEST))
        left -= size
        yield chance.choices(told, k=size)


async def blow(url: str, waiting: Sequence[list[Told]], *, connections: int, watcher: Callable[[int], None]) -> Heard:
    """Post them all, each again until it is acknowledged. `watcher` hears how many notifications were."""
    heard, queue = Heard(), list(reversed(waiting))

    async def one_after_the_other(client: httpx.AsyncClient) -> None:
        while queue:
            batch = queue.pop()
            if not await post(client, batch, heard):
                queue.insert(0, batch)
            watcher(heard.notifications)

    async with AsyncExitStack() as stack:
        # A client for each: in a pool of many connections it is httpx that takes the time.
        clients = [await stack.enter_async_context(a_client(url)) for _ in range(connections)]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(one_after_the_other(client))
        heard.took_s = time.perf_counter() - began
    return heard


def a_client(url: str) -> httpx.AsyncClient:
    """One connection; no TLS, so nothing is loaded for it."""
    return httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False, verify=False)


async def post(client: httpx.AsyncClient, batch: Sequence[Told], heard: Heard) -> bool:
    """Post a batch once; whether it was acknowledged."""
    body = orjson.dumps({"value": [one.item() for one in batch]})
    began = time.perf_counter()
    try:
        answer = await client.post(NOTIFICATIONS, content=body, headers={"content-type": "application/json"})
    except httpx.TransportError:
        answer = None
    heard.durations_s.append(time.perf_counter() - began)
    heard.answers[NO_ANSWER if answer is None else str(answer.status_code)] += 1
    if answer is None or answer.status_code != HTTPStatus.ACCEPTED:
        return False
    heard.notifications += len(batch)
    heard.acknowledged.update({one.message_id for one in batch})
    return True
