"""Who comes beyond what the gateway can do at once hears so at once; the others are served, and places come free."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from gateway.http.crowd import FREE, Crowd
from storage.api_keys import Scope
from tests.http.listening import listening
from tests.http.scene import Scene, a_letter
from tests.http.shape import assert_problem

JSON = {"content-type": "application/json"}


def crowded(scene: Scene, **bounds: int) -> Scene:
    return replace(scene, services=replace(scene.services, crowd=Crowd(**bounds)))


class Body:
    """A body of which `size` bytes come, and the rest when `go_on` is set."""

    def __init__(self, size: int, rest: bytes = b"") -> None:
        self.size = size
        self.rest = rest
        self.came = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b" " * self.size
        self.came.set()
        await self.go_on.wait()
        yield self.rest


async def test_a_key_has_so_many_streams_and_all_together_so_many(scene: Scene) -> None:
    small = crowded(scene, streams=3, streams_of_a_key=2)
    other = await scene.new_key(Scope.READ)
    mine, others = {"authorization": f"Bearer {scene.key}"}, {"authorization": f"Bearer {other}"}
    path = "/v1/events/stream"
    async with small.client() as api, listening(small.app, path, **mine) as one, listening(small.app, path, **mine):
        await one.next()
        assert_problem(await api.get(path), 429, "too-many-requests")
        assert_problem(await api.get("/v1/events?wait=5"), 429, "too-many-requests")
        async with (
            listening(small.app, path, **others) as third,
            small.client(key=await scene.new_key(Scope.READ)) as x,
        ):
            await third.next()
            assert_problem(await x.get(path), 503, "unavailable")
    async with listening(small.app, path, **mine) as again:
        assert (await again.next()).startswith("retry:")
        assert small.services.crowd.streams.taken == 1


@pytest.mark.parametrize(("bound", "path"), [("uploads", "/v1/files?name=a"), ("bodies", "/v1/messages")])
async def test_uploads_and_large_letters_have_so_much_room(scene: Scene, bound: str, path: str) -> None:
    small = crowded(scene, **{bound: 1})
    body = Body(FREE + 1)
    async with small.client() as api, asyncio.TaskGroup() as group:
        first = group.create_task(api.post(path, content=body, headers=JSON))
        await body.came.wait()
        await asyncio.sleep(0)
        refused = await api.post(path, content=b" " * (FREE + 2), headers=JSON)
        assert_problem(refused, 503, "unavailable")
        assert (await api.post("/v1/messages", json=a_letter())).status_code == 202  # a small one needs none
        body.go_on.set()
        await first
        assert (await api.post("/v1/files?name=a", content=b"x")).status_code == 201
    assert small.services.crowd.bodies_left == (1 if bound == "bodies" else Crowd().bodies_left)
    assert small.services.crowd.uploads.taken == 0


async def test_when_all_are_at_work_graph_and_the_supervisor_are_answered_all_the_same(scene: Scene) -> None:
    small = crowded(scene, at_work=1)
    async with listening(small.app, "/v1/events/stream", authorization=f"Bearer {scene.key}") as stream:
        await stream.next()
        async with small.client() as api:
            assert_problem(await api.get("/v1/messages"), 503, "unavailable")
            assert (await api.post("/graph/notifications", json={"value": []})).status_code == 202
            assert (await api.get("/healthz")).status_code == 200
            assert (await api.get("/readyz")).status_code == 200
    async with small.client() as api:
        assert (await api.get("/v1/messages")).status_code == 200


async def test_an_export_too_many_is_refused(scene: Scene, api: httpx.AsyncClient) -> None:
    small = crowded(scene, exports=0)
    async with small.client() as asking:
        assert_problem(await asking.get("/v1/objects/student/S1/export"), 503, "unavailable")
    assert (await api.get("/v1/objects/student/S1/export")).status_code == 200
