"""A gateway of which there is something to be said in every metric."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import storage
from gateway.backups.keeper import Standing
from gateway.graph import Call
from gateway.host.post import Answer
from storage import Transaction, completeness, folders, hints, mailboxes, round_trips, subscriptions
from storage.api_keys import Scope
from storage.folders import WellKnown
from storage.hints import NewHint
from storage.subscriptions import SubscriptionState
from tests.fakes.clock import FakeClock
from tests.http.scene import CLIENT, MAILBOX, TENANT, Scene, a_letter, build

PUBLIC_URL = "https://mail.school.example"


@dataclass(frozen=True, slots=True)
class Scraped:
    """What Prometheus got."""

    text: str

    def number(self, name: str, **labels: str) -> float:
        """One sample."""
        [value] = [
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == f"selma_gateway_{name}" and sample.labels == labels
        ]
        return value


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Scraped:
    """With a connection, a letter, a watched folder, a hint, a round trip and a webhook."""
    return asyncio.run(scrape(tmp_path_factory.mktemp("scraped") / "gateway.db"))


async def scrape(file: Path) -> Scraped:
    """What is in a new file."""
    async with storage.open_store(file) as store:
        scene = (await build(store, FakeClock())).with_settings(public_url=PUBLIC_URL)
        store.observer = scene.services.meters.store
        standing = Standing(wanted=True, newest_at=scene.clock.now() - timedelta(hours=3))
        scene = replace(scene, services=replace(scene.services, backups=lambda: standing))
        await be_busy(scene)
        async with scene.client(await scene.new_key(Scope.METRICS)) as prometheus:
            answer = await prometheus.get("/metrics")
    assert answer.status_code == 200, answer.text
    return Scraped(answer.text)


async def be_busy(scene: Scene) -> None:
    """All that leaves a number behind."""
    async with scene.client() as selma:
        account = {
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": "Qx8~value",
            "secret_expires_at": "2026-03-20",
        }
        for answer in (
            await selma.put("/v1/account", json=account),
            await selma.post("/v1/messages", json=a_letter()),
            await selma.post("/v1/webhooks", json={"url": "https://selma.example/events"}),
            await selma.post(f"/v1/mailboxes/{MAILBOX}/round-trip", json={}),
        ):
            assert answer.is_success, answer.text
    await scene.store.write(furnish, scene)
    meters = scene.services.meters
    call: dict[str, Any] = {"method": "GET", "route": "users", "request_id": None, "client_request_id": "1"}
    meters.graph.called(Call(status=200, duration_s=0.1, **call))
    meters.deliveries.attempted(Answer(status=204, problem=None, took_ms=20))


def furnish(tx: Transaction, scene: Scene) -> None:
    """All that needs Microsoft 365."""
    now = scene.clock.now()
    box = mailboxes.get_by_address(tx, scene.account_id, MAILBOX)
    folders.watch(tx, scene.account_id, box.id, WellKnown.INBOX, folder_id="AAMk", since=now, now=now)
    [folder] = folders.claim_due(tx, owner="test", now=now, lease_ends_at=now + timedelta(minutes=5), limit=1)
    folders.pulled(tx, folder, owner="test", next_pull_at=now + timedelta(minutes=10), now=now)
    completeness.checked(tx, box.id, compared=120, missing=0, now=now)
    hint = NewHint(account_id=scene.account_id, folder_id=folder.id, change_type="created", message_id="AAMk1")
    hints.insert(tx, [hint], now=now)
    begun = subscriptions.add(
        tx,
        account_id=scene.account_id,
        mailbox_id=box.id,
        folder_id=folder.id,
        client_state_digest=b"d" * 32,
        notification_url=f"{PUBLIC_URL}/graph/notifications",
        next_step_at=now,
        now=now,
    )
    ends = now + timedelta(days=3)
    live = replace(begun, state=SubscriptionState.LIVE, subscription_id="sub-1", expiration_date_time=ends)
    subscriptions.save(tx, live)
    [trip] = round_trips.under_way(tx)
    at = now + timedelta(seconds=4)
    round_trips.arrived(tx, trip.thread_id, graph_id="AAMk2", now=at)
    seen = {"drafted_at": at, "submitted_at": at, "sent_at": at, "notified_at": at, "ended_at": at}
    round_trips.save(tx, replace(trip, state=round_trips.State.PASSED, **seen))
