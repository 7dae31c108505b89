"""What staff have read, as the host application tells and asks it."""

from typing import Any

import httpx
import pytest

from storage.api_keys import Scope
from tests.http.scene import Scene
from tests.http.shape import assert_bad_values, assert_problem
from tests.pages.desk import letter, reply, thread_of

THREADS = "/v1/objects/student/S1001/threads"


async def a_thread(scene: Scene, *, replies: int = 1) -> str:
    sent = await letter(scene)
    for _ in range(replies):
        await reply(scene, sent)
    return await thread_of(scene, sent)


async def unread(api: httpx.AsyncClient, reader: str) -> Any:
    [thread] = (await api.get(THREADS, params={"reader": reader})).json()["items"]
    return thread["unread"]


async def test_a_thread_says_how_much_is_new_to_the_reader_who_was_named(scene: Scene, api: httpx.AsyncClient) -> None:
    thread = await a_thread(scene, replies=2)
    assert await unread(api, "Jane Doe") == 2
    marked = await api.post(f"/v1/threads/{thread}/read", json={"reader": "Jane Doe"})
    assert marked.json() == {"thread_id": thread, "unread": 0}
    assert await unread(api, "jane doe") == 0
    assert await unread(api, "Tom Ariki") == 2


async def test_without_a_reader_nothing_is_said_of_it(scene: Scene, api: httpx.AsyncClient) -> None:
    await a_thread(scene)
    [thread] = (await api.get(THREADS)).json()["items"]
    assert thread["unread"] is None


async def test_only_what_was_shown_is_read(scene: Scene, api: httpx.AsyncClient) -> None:
    thread = await a_thread(scene)
    shown = int((await api.get("/v1/events")).json()["cursor"])
    first = (await api.get(f"/v1/threads/{thread}")).json()["messages"][0]["id"]
    await reply(scene, first)
    marked = await api.post(f"/v1/threads/{thread}/read", json={"reader": "Jane Doe", "up_to": shown})
    assert marked.json()["unread"] == 1


async def test_a_thread_can_be_put_aside(scene: Scene, api: httpx.AsyncClient) -> None:
    thread = await a_thread(scene, replies=2)
    await api.post(f"/v1/threads/{thread}/read", json={"reader": "Jane Doe"})
    assert (await api.post(f"/v1/threads/{thread}/unread", json={"reader": "Jane Doe"})).json()["unread"] == 1


async def test_a_thread_without_a_reply_cannot_be_put_aside(scene: Scene, api: httpx.AsyncClient) -> None:
    thread = await a_thread(scene, replies=0)
    answer = await api.post(f"/v1/threads/{thread}/unread", json={"reader": "Jane Doe"})
    assert_problem(answer, 409, "conflict")


@pytest.mark.parametrize("reader", ["", "  ", "a\nb", "x" * 201])
async def test_a_reader_is_a_name(scene: Scene, api: httpx.AsyncClient, reader: str) -> None:
    thread = await a_thread(scene)
    assert_bad_values(await api.post(f"/v1/threads/{thread}/read", json={"reader": reader}), "/reader")


async def test_another_accounts_thread_is_not_there_to_be_read(scene: Scene) -> None:
    thread = await a_thread(scene)
    value = await scene.new_key(Scope.READ, account_id=await scene.new_account("Other school"))
    async with scene.client(value) as other:
        for act in ("read", "unread"):
            answer = await other.post(f"/v1/threads/{thread}/{act}", json={"reader": "Jane Doe"})
            assert_problem(answer, 404, "not-found")
