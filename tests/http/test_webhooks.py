"""`/v1/webhooks`: entering them, their secrets, their log; and waiting for events instead of being told."""

import asyncio
from datetime import timedelta

import httpx

from gateway.host.catalogue import EVENTS
from storage import accounts, deliveries, events, webhooks
from storage.deliveries import Attempt, DeliveryState
from storage.vault import MasterKey
from tests.http.scene import Scene
from tests.http.shape import assert_bad_values, assert_problem

RECEIVER = {"url": "https://selma.example/events", "types": ["reply.received"], "description": "SELMA"}


async def added(api: httpx.AsyncClient) -> str:
    answer = await api.post("/v1/webhooks", json=RECEIVER)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_the_secret_is_shown_once_and_lies_sealed(api: httpx.AsyncClient, scene: Scene) -> None:
    made = await api.post("/v1/webhooks", json=RECEIVER)
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert made.headers["location"] == f"/v1/webhooks/{made.json()['id']}"
    shown = await api.get(made.headers["location"])
    assert shown.json() == RECEIVER | {
        "id": made.json()["id"],
        "state": "live",
        "problem": None,
        "waiting": 0,
        "waiting_since": None,
        "last_success_at": None,
        "old_secret_until": None,
        "created_at": "2026-03-02T09:00:00Z",
    }
    stored = await scene.store.read(webhooks.by_id, made.json()["id"])
    assert secret.encode() not in stored.secret
    assert stored.secrets(scene.setup.key, scene.clock.now()) == [secret]


async def test_bad_values_are_told_with_what_would_be_right(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/webhooks", json={"url": "https://selma.example/", "types": ["reply.recieved"]})
    assert "Did you mean reply.received?" in assert_bad_values(answer, "/types/0")["/types/0"]
    answer = await api.post("/v1/webhooks", json={"url": "https://169.254.169.254/latest/meta-data"})
    assert "not on the public internet" in assert_bad_values(answer, "/url")["/url"]


async def test_it_is_changed_and_removed(api: httpx.AsyncClient) -> None:
    webhook_id = await added(api)
    changed = await api.put(f"/v1/webhooks/{webhook_id}", json={"url": "https://other.example/"})
    assert (changed.json()["url"], changed.json()["types"]) == ("https://other.example/", [])
    assert [one["id"] for one in (await api.get("/v1/webhooks")).json()["items"]] == [webhook_id]
    assert (await api.delete(f"/v1/webhooks/{webhook_id}")).status_code == 204
    assert (await api.get("/v1/webhooks")).json() == {"items": [], "next": None}
    assert_problem(await api.delete(f"/v1/webhooks/{webhook_id}"), 404, "not-found")


async def test_another_accounts_webhook_is_as_one_that_is_not_there(api: httpx.AsyncClient, scene: Scene) -> None:
    other = (await scene.store.write(accounts.add, "Another school", now=scene.clock.now())).id
    theirs = await scene.store.write(
        webhooks.add,
        other,
        url="https://other.example/",
        description=None,
        types=(),
        secret="s",
        after=0,
        key=MasterKey.new(),
        now=scene.clock.now(),
    )
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        body = RECEIVER if method == "PUT" else None
        answer = await api.request(method, f"/v1/webhooks/{theirs.id}{path}", json=body)
        missing = await api.request(method, f"/v1/webhooks/whk_nothing{path}", json=body)
        assert assert_problem(answer, 404, "not-found")["detail"] == missing.json()["detail"]


async def test_there_is_an_end_to_how_many(api: httpx.AsyncClient) -> None:
    for _ in range(20):
        await added(api)
    answer = await api.post("/v1/webhooks", json=RECEIVER)
    assert "at most 20" in assert_problem(answer, 409, "conflict")["detail"]


async def test_a_new_secret_leaves_the_old_one_good_for_a_day(api: httpx.AsyncClient) -> None:
    webhook_id = await added(api)
    answer = await api.post(f"/v1/webhooks/{webhook_id}/rotate-secret")
    assert answer.json()["old_secret_until"] == "2026-03-03T09:00:00Z"


async def test_the_log_tells_how_each_delivery_went_and_a_failed_one_is_sent_again(
    api: httpx.AsyncClient, scene: Scene
) -> None:
    webhook_id = await added(api)
    event_id = (await api.post(f"/v1/webhooks/{webhook_id}/test")).json()["event_id"]
    now = scene.clock.now()
    told = await scene.store.read(events.after, scene.account_id, int(event_id) - 1, limit=1)
    await scene.store.write(deliveries.insert, webhook_id, told, now=now)
    delivery = await scene.store.read(deliveries.get, webhook_id, int(event_id))
    attempt = Attempt(status=500, took_ms=12, problem="It answered 500 instead of 2xx.", at=now)
    await scene.store.write(deliveries.failed, delivery, attempt)
    [shown] = (await api.get(f"/v1/webhooks/{webhook_id}/deliveries?state=failed")).json()["items"]
    assert (shown["event_id"], shown["type"], shown["status"]) == (event_id, "webhook.test", 500)
    assert (await api.get(f"/v1/webhooks/{webhook_id}/deliveries?state=delivered")).json()["items"] == []
    again = await api.post(f"/v1/webhooks/{webhook_id}/deliveries/{event_id}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, DeliveryState.WAITING)
    for nothing in ("999999", "x", "9" * 30):
        missing = await api.post(f"/v1/webhooks/{webhook_id}/deliveries/{nothing}/redeliver")
        assert_problem(missing, 404, "not-found")


async def test_the_log_has_pages(api: httpx.AsyncClient, scene: Scene) -> None:
    webhook_id = await added(api)
    for _ in range(3):
        await scene.store.write(events.record, scene.account_id, "reply.received", now=scene.clock.now())
    told = await scene.store.read(events.after, scene.account_id, 0, limit=10)
    await scene.store.write(deliveries.insert, webhook_id, told, now=scene.clock.now())
    first = (await api.get(f"/v1/webhooks/{webhook_id}/deliveries?limit=2")).json()
    rest = (await api.get(f"/v1/webhooks/{webhook_id}/deliveries?limit=2&after={first['next']}")).json()
    assert [one["event_id"] for one in first["items"] + rest["items"]] == [str(one.seq) for one in reversed(told)]
    assert rest["next"] is None


async def test_one_that_was_disabled_is_enabled(api: httpx.AsyncClient, scene: Scene) -> None:
    webhook_id = await added(api)
    await scene.store.write(webhooks.disable, webhook_id, "It answered 410: it is gone.")
    assert (await api.get(f"/v1/webhooks/{webhook_id}")).json()["state"] == "disabled"
    assert (await api.post(f"/v1/webhooks/{webhook_id}/enable")).json()["state"] == "live"


class TestLongPoll:
    async def test_who_waits_is_told_as_soon_as_something_happens(self, api: httpx.AsyncClient, scene: Scene) -> None:
        cursor = (await api.get("/v1/events")).json()["cursor"]
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(api.get(f"/v1/events?after={cursor}&wait=30"))
            await scene.clock.somebody_sleeps()
            assert not waiting.done()
            await scene.store.write(events.record, scene.account_id, "reply.received", now=scene.clock.now())
        assert [one["type"] for one in waiting.result().json()["items"]] == ["reply.received"]

    async def test_who_waited_in_vain_gets_an_empty_page(self, api: httpx.AsyncClient, scene: Scene) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(api.get("/v1/events?wait=5"))
            await scene.clock.somebody_sleeps()
            scene.clock.advance(timedelta(seconds=5))
        assert waiting.result().json() == {"items": [], "next": None, "cursor": "0"}


def test_the_catalogue_says_of_each_event_what_it_tells() -> None:
    assert all(meaning.endswith(".") for meaning in EVENTS.values())
