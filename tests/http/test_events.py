"""The event log: by cursor and live."""

from datetime import timedelta

import httpx
import orjson
import pytest

import storage
from storage import api_keys, events
from storage.api_keys import Scope
from tests.http.listening import listening, until_asleep
from tests.http.scene import Scene
from tests.http.shape import assert_bad_values

STREAM = "/v1/events/stream"


async def happen(scene: Scene, *types: str) -> None:
    def record(tx: storage.Transaction) -> None:
        for one in types:
            events.record(tx, scene.account_id, one, thread_id="thr_1", data={"n": 1}, now=scene.clock.now())

    await scene.store.write(record)


async def test_the_log_is_read_in_order_and_goes_on_from_a_cursor(scene: Scene, api: httpx.AsyncClient) -> None:
    await happen(scene, "message.accepted", "message.submitted", "message.sent")
    first = (await api.get("/v1/events", params={"limit": 2})).json()
    assert [one["type"] for one in first["items"]] == ["message.accepted", "message.submitted"]
    assert first["items"][0] == {
        "id": "1",
        "type": "message.accepted",
        "thread_id": "thr_1",
        "message_id": None,
        "data": {"n": 1},
        "created_at": "2026-03-02T09:00:00Z",
        "request_id": None,
    }
    rest = (await api.get("/v1/events", params={"after": first["next"]})).json()
    assert [one["type"] for one in rest["items"]] == ["message.sent"]
    assert (rest["next"], rest["cursor"]) == (None, "3")
    empty = (await api.get("/v1/events", params={"after": rest["cursor"]})).json()
    assert empty == {"items": [], "next": None, "cursor": "3"}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("after=x", "after"),
        ("after=-1", "after"),
        ("after=9223372036854775808", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("from=1", "from"),
    ],
)
async def test_a_bad_query_is_named(api: httpx.AsyncClient, query: str, name: str) -> None:
    assert_bad_values(await api.get(f"/v1/events?{query}"), f"/{name}", where="query")


async def test_a_listener_hears_what_happens_as_it_happens_and_nothing_from_before(scene: Scene) -> None:
    await happen(scene, "message.accepted")
    async with listening(scene.app, STREAM, authorization=f"Bearer {scene.key}") as listener:
        assert await listener.next() == "retry: 2000\n\n"
        assert listener.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert listener.headers["cache-control"] == "no-store"
        await happen(scene, "message.sent")
        event = await listener.next_event()
    assert (event["id"], event["event"]) == ("2", "message.sent")
    assert orjson.loads(event["data"])["id"] == "2"


async def test_a_listener_that_comes_back_misses_nothing(scene: Scene) -> None:
    await happen(scene, *(f"message.sent.{number}" for number in range(250)))
    headers = {"authorization": f"Bearer {scene.key}", "last_event_id": "10"}
    async with listening(scene.app, STREAM, **headers) as listener:
        heard = [int((await listener.next_event())["id"]) for _ in range(240)]
        await happen(scene, "reply.received")
        assert (await listener.next_event())["id"] == "251"
    assert heard == list(range(11, 251))


async def test_a_first_listener_can_ask_for_everything(scene: Scene) -> None:
    await happen(scene, "message.accepted", "message.sent")
    async with listening(scene.app, f"{STREAM}?after=0", authorization=f"Bearer {scene.key}") as listener:
        assert (await listener.next_event())["id"] == "1"


async def test_a_quiet_stream_shows_that_it_lives(scene: Scene) -> None:
    async with listening(scene.app, STREAM, authorization=f"Bearer {scene.key}") as listener:
        await listener.next()
        for _ in range(3):
            await until_asleep(scene.clock)
            scene.clock.advance(timedelta(seconds=15))
            assert (await listener.next()).startswith(":")


async def test_a_stream_ends_when_the_gateway_stops(scene: Scene) -> None:
    async with listening(scene.app, STREAM, authorization=f"Bearer {scene.key}") as listener:
        await listener.next()
        scene.services.stopping.set()
        await listener.over.wait()


async def test_a_stream_ends_with_its_key(scene: Scene) -> None:
    key = await scene.new_key(Scope.READ)
    async with listening(scene.app, STREAM, authorization=f"Bearer {key}") as listener:
        await listener.next()
        found = await scene.store.read(api_keys.find, key)
        assert found is not None
        await scene.store.write(api_keys.revoke, scene.account_id, found.id, now=scene.clock.now())
        await happen(scene, "message.sent")
        await listener.over.wait()
        assert listener.pieces.empty()


async def test_a_listener_hears_nothing_of_another_account(scene: Scene) -> None:
    other = await scene.new_key(Scope.READ, account_id=await scene.new_account("Another school"))
    async with listening(scene.app, f"{STREAM}?after=0", authorization=f"Bearer {other}") as listener:
        await listener.next()
        await happen(scene, "message.sent")
        await until_asleep(scene.clock)
        scene.clock.advance(timedelta(seconds=15))
        assert (await listener.next()).startswith(":")


@pytest.mark.parametrize("value", ["x", "-1", "", "9" * 30, "1.5"])
async def test_a_last_event_id_that_is_none_is_refused(api: httpx.AsyncClient, value: str) -> None:
    answer = await api.get(STREAM, headers={"last-event-id": value})
    assert_bad_values(answer, "/last-event-id", where="header")
