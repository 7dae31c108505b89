"""Notifications as they are on a bad day: lost, doubled, out of order, and ahead of the mail that they tell of."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.sandbox import Behaviour, Sandbox
from gateway.sandbox.school import School

from .conftest import ManualClock, Receiver, at, subscription_to

OFFICE = "office@school.example"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


@pytest.fixture
async def watched(sandbox: Sandbox, graph: httpx.AsyncClient) -> Sandbox:
    """The sandbox, with somebody who wants to hear of the office's Inbox."""
    answer = await graph.post("/v1.0/subscriptions", json=subscription_to(sandbox), headers=IMMUTABLE)
    assert answer.status_code == 201, answer.text
    return sandbox


async def deliver(sandbox: Sandbox, count: int, **habits: Any) -> list[str]:
    sandbox.world.behaviour = replace(Behaviour.at_once(), **habits)
    arrived = [
        sandbox.world.deliver(OFFICE, from_="a@b.example", subject=f"Mail {number}").immutable_id
        for number in range(count)
    ]
    await sandbox.settle()
    return arrived


def told(receiver: Receiver) -> list[str]:
    return [item["resourceData"]["id"] for item in receiver.notifications]


async def test_a_share_of_the_notifications_is_lost(watched: Sandbox, receiver: Receiver) -> None:
    arrived = await deliver(watched, 500, notifications_lost=0.2)
    assert 60 < watched.notifier.lost < 140
    assert len(told(receiver)) == 500 - watched.notifier.lost
    assert set(told(receiver)) < set(arrived)


async def test_a_share_of_the_notifications_comes_twice(watched: Sandbox, receiver: Receiver) -> None:
    arrived = await deliver(watched, 500, notifications_doubled=0.2)
    assert set(told(receiver)) == set(arrived)
    assert 60 < list(Counter(told(receiver)).values()).count(2) < 140


async def test_shuffled_notifications_are_all_there_in_another_order(watched: Sandbox, receiver: Receiver) -> None:
    arrived = await deliver(watched, 50, notifications_shuffled=True)
    assert told(receiver) != arrived
    assert sorted(told(receiver)) == sorted(arrived)


async def test_what_befalls_notifications_is_the_same_with_the_same_seed(watched: Sandbox, receiver: Receiver) -> None:
    state = watched.world.lots.getstate()
    lost = []
    for _ in range(2):
        watched.world.lots.setstate(state)
        receiver.notifications.clear()
        arrived = await deliver(watched, 50, notifications_lost=0.5)
        heard = set(told(receiver))
        lost.append([id in heard for id in arrived])
    assert lost[0] == lost[1]


async def test_an_early_notification_tells_of_mail_that_is_neither_found_nor_listed_yet(
    watched: Sandbox, receiver: Receiver, graph: httpx.AsyncClient, clock: ManualClock
) -> None:
    delta = f"/v1.0/users/{OFFICE}/mailFolders/inbox/messages/delta"
    link = (await graph.get(delta, headers=IMMUTABLE)).json()["@odata.deltaLink"]
    [early] = await deliver(watched, 1, early_notifications=1.0, early_by=timedelta(seconds=30))
    message = f"/v1.0/users/{OFFICE}/messages/{at(early)}"
    assert told(receiver) == [early]
    assert (await graph.get(message, headers=IMMUTABLE)).status_code == 404
    assert (await graph.get(link, headers=IMMUTABLE)).json()["value"] == []

    clock.advance(timedelta(seconds=30))
    await watched.settle()

    assert (await graph.get(message, headers=IMMUTABLE)).status_code == 200
    assert [item["id"] for item in (await graph.get(link, headers=IMMUTABLE)).json()["value"]] == [early]
    assert told(receiver) == [early], "it is not told again"


async def test_the_shares_are_set_by_the_admin_route(
    watched: Sandbox, graph: httpx.AsyncClient, pupils: School
) -> None:
    wanted = {"notifications_lost": 0.2, "notifications_doubled": 0.2, "notifications_shuffled": True, "early_by": 9}
    changed = await graph.patch("/_sandbox/behaviour", json=wanted)
    assert {name: changed.json()[name] for name in wanted} == wanted
