"""`/metrics`: an account and the process in numbers, in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/

Each group is a function over one snapshot of the store; `GROUPS` lists them, by noun in the modules beside this one.
What is counted in memory (`gateway.meters`, the door) registers with the application's own registry, and is there
when the store is not: then `store_readable` is 0 and the groups are missing.

How many series: some 600 of the process, and one for each kind of call to Graph and status that was met, of 24 by 30
at most; of the account 15, 21 for each mailbox with its two folders, and 4 for each of at most 20 webhooks: 2,800 for
a hundred mailboxes. No label has a value that comes from outside, but the school's own mailbox addresses and our ids of
webhooks.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.metrics.access import Doorkeeper
from gateway.http.metrics.backups import Backups
from gateway.http.metrics.budgets import letters_left, requests_left
from gateway.http.metrics.credentials import credentials_ending
from gateway.http.metrics.events import webhooks_behind
from gateway.http.metrics.families import Ended, Group, Scrape, one
from gateway.http.metrics.host import Host
from gateway.http.metrics.outbox import batches_open, letters, queues
from gateway.http.metrics.watching import (
    completeness_of_mail,
    round_trips_of_mailboxes,
    watched_folders,
)
from gateway.http.services import Services
from storage import StorageUnavailable, Store, Transaction

# When each counter was made: a third more series, which in this format are gauges of their own and help nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]

GROUPS: Final[Sequence[Group]] = (
    letters,
    letters_left,
    requests_left,
    queues,
    batches_open,
    watched_folders,
    completeness_of_mail,
    round_trips_of_mailboxes,
    webhooks_behind,
    credentials_ending,
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was read, as the library wants to be handed it."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return self.families


def routes(services: Services) -> Sequence[BaseRoute]:
    """`/metrics`, for keys with the scope `metrics`."""
    registry, doorkeeper, ended = CollectorRegistry(), Doorkeeper(services), Ended()
    ProcessCollector(registry=registry)
    for collector in (
        *services.door.collectors,
        *services.meters.collectors,
        *services.space.collectors,
        Host(services.store),
        Backups(services.backups, services.clock),
    ):
        registry.register(collector)

    async def show(request: Request) -> Response:
        key = await doorkeeper.admit(request)
        scrape = Scrape(
            account_id=key.account_id,
            allowance=services.settings.rules.allowance,
            limits=services.settings.limits,
            is_notified=services.settings.public_url is not None,
            ended=ended,
            now=services.clock.now(),
        )
        collected = await collect(services.store, scrape)
        text = await asyncio.to_thread(written, Collected(collected), registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4, "cache-control": "no-store"})

    return [Route("/metrics", show)]


async def collect(store: Store, scrape: Scrape) -> Sequence[Metric]:
    """Every group, each in a snapshot of its own: between two of them whoever else reads has a turn.

    Of a store that cannot be read only that.
    """
    families: list[Metric] = []
    is_readable = True
    try:
        for group in GROUPS:
            families += await store.read(_group, group, scrape)
    except StorageUnavailable:
        families, is_readable = [], False
    readable = one(
        "store_readable",
        "0 when the database could not be read for this scrape: then all numbers of the account are missing from it.",
        int(is_readable),
    )
    return [*families, readable]


def _group(tx: Transaction, group: Group, scrape: Scrape) -> Sequence[Metric]:
    return list(group(tx, scrape))


def written(collected: Collected, registry: CollectorRegistry) -> bytes:
    """As text. In a thread: with a hundred mailboxes it takes milliseconds, in which Graph may want an answer."""
    return generate_latest(collected) + generate_latest(registry)
