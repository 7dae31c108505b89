"""`/graph/notifications` and `/graph/lifecycle`: the handshake to the letter, and answers in time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

import storage
from gateway.http.line import Line
from gateway.pace import Figures
from subscriptions.judging import Reason
from subscriptions.notifications import MalformedNotification, NotificationTooLarge
from subscriptions.receiver import Receipt
from tests.http.scene import Scene
from tests.http.shape import assert_problem
from tests.http.test_metrics import numbers, scraped

both = pytest.mark.parametrize("path", ["/graph/notifications", "/graph/lifecycle"])


@both
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("validationToken=abc", b"abc"),
        ("validationToken=Validation%3A+Testing+client%20app", b"Validation: Testing client app"),
        ("validationToken=%3Cscript%3Ealert(1)%3C%2Fscript%3E", b"<script>alert(1)</script>"),
        ("validationToken=a%0D%0ASet-Cookie%3A%20x%3Dy", b"a\r\nSet-Cookie: x=y"),
        ("validationToken=m%C4%81ori", "māori".encode()),
        ("validationToken=a%2Bb%3D%3D%26c", b"a+b==&c"),
        ("school=7&validationToken=abc", b"abc"),
        ("validationToken=" + "x" * 2048, b"x" * 2048),
    ],
)
async def test_the_token_comes_back_decoded_and_otherwise_untouched(
    scene: Scene, path: str, query: str, body: bytes
) -> None:
    async with scene.client(key="") as graph:
        answer = await graph.post(f"{path}?{query}", headers={"content-type": "text/plain; charset=utf-8"})
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["content-type"].partition(";")[0] == "text/plain"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
    assert scene.receiver.came == []


@both
@pytest.mark.parametrize(
    "query",
    [
        "validationToken=",
        "validationToken=a&validationToken=a",
        "validationToken=a&validationToken=b",
        "validationToken=" + "x" * 2049,
        "validationToken=%ff",
    ],
)
async def test_what_graph_would_never_send_is_no_handshake(scene: Scene, path: str, query: str) -> None:
    async with scene.client(key="") as stranger:
        assert_problem(await stranger.post(f"{path}?{query}"), 400, "bad-request")


@both
async def test_the_doors_open_to_posts_alone(scene: Scene, path: str) -> None:
    async with scene.client(key="") as anyone:
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            answer = await anyone.request(method, f"{path}?validationToken=said-back")
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
            assert b"said-back" not in answer.content


async def test_notifications_go_to_the_receiver_as_they_are(scene: Scene) -> None:
    async with scene.client(key="") as graph:
        one = await graph.post("/graph/notifications", content=b'{"value": []}')
        two = await graph.post("/graph/lifecycle", content=b'{"value": [1]}')
    assert [(answer.status_code, answer.content) for answer in (one, two)] == [(202, b"")] * 2
    assert scene.receiver.came == [b'{"value": []}', b'{"value": [1]}']


@both
@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (MalformedNotification("The body is not JSON."), 400, "bad-request"),
        (NotificationTooLarge("There are more than 1000 items."), 413, "body-too-large"),
        (storage.StorageUnavailable("disk full"), 503, "unavailable"),
    ],
)
async def test_what_cannot_be_kept_is_not_acknowledged(
    scene: Scene, path: str, error: Exception, status: int, name: str
) -> None:
    async def fail() -> None:
        raise error

    scene.receiver.then = fail
    async with scene.client(key="") as graph:
        assert_problem(await graph.post(path, content=b"{}"), status, name)


async def test_a_store_that_hangs_is_a_503_before_graph_gives_up(scene: Scene) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    scene.receiver.then = hang
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with scene.client(key="") as graph:
        assert_problem(await graph.post("/graph/notifications", content=b"{}"), 503, "unavailable")
    assert loop.time() - begun < 3


async def test_more_than_can_be_kept_in_time_hears_so_at_once(scene: Scene) -> None:
    narrow = replace(scene, services=replace(scene.services, line=Line(at_once=2)))
    there, both_there, goes_on = list[bool](), asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        there.append(True)
        if len(there) == 2:
            both_there.set()
        await goes_on.wait()

    narrow.receiver.then = hang
    async with narrow.client(key="") as graph, asyncio.TaskGroup() as group:
        waiting = [group.create_task(graph.post("/graph/notifications", content=b"{}")) for _ in range(2)]
        await both_there.wait()
        refused = await graph.post("/graph/lifecycle", content=b"{}")
        assert_problem(refused, 503, "unavailable")
        assert "retry-after" in refused.headers
        goes_on.set()
    assert [one.result().status_code for one in waiting] == [202, 202]
    async with narrow.client(key="") as graph:
        assert (await graph.post("/graph/notifications", content=b"{}")).status_code == 202


async def test_the_handshake_is_answered_while_the_store_hangs(scene: Scene) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    scene.receiver.then = hang
    async with scene.client(key="") as graph, asyncio.TaskGroup() as group:
        hanging = group.create_task(graph.post("/graph/notifications", content=b"{}"))
        answer = await graph.post("/graph/notifications?validationToken=said-back")
        assert answer.content == b"said-back"
        assert not hanging.done()
        hanging.cancel()


async def test_a_notification_without_a_body_still_reaches_the_receiver(scene: Scene) -> None:
    async with scene.client(key="") as graph:
        answer: httpx.Response = await graph.post("/graph/notifications")
    assert answer.status_code == 202
    assert scene.receiver.came == [b""]


# What the door knows of itself


@both
async def test_every_answer_is_measured_whoever_gives_it(scene: Scene, path: str) -> None:
    async with scene.client(key="") as graph:
        await graph.post(path, content=b"{}")
        await graph.post(path, content=b"x" * (1024 * 1024 + 1))
    assert measured(scene).answers == 2


@both
async def test_handshakes_and_other_doors_are_not_measured(scene: Scene, path: str) -> None:
    async with scene.client(key="") as anyone:
        await anyone.post(f"{path}?validationToken=abc")
        await anyone.get(path)
        await anyone.get("/healthz")
    assert measured(scene).answers == 0


async def test_what_was_let_in_and_what_was_refused_is_counted_by_reason(scene: Scene) -> None:
    scene.receiver.receipt = Receipt(
        kept=5, refused=3, ignored=1, reasons={Reason.FORGED_CLIENT_STATE: 2, Reason.WRONG_TENANT: 1}
    )
    async with scene.client(key="") as graph:
        await graph.post("/graph/notifications", content=b"{}")
        await graph.post("/graph/lifecycle", content=b"{}")
        for error in (MalformedNotification("No."), NotificationTooLarge("No."), storage.StorageUnavailable("full")):
            scene.receiver.then = failing(error)
            await graph.post("/graph/notifications", content=b"{}")
        await graph.post("/graph/notifications", content=b"x" * (1024 * 1024 + 1))
    samples = await scraped(scene, scene.key)
    assert numbers(samples, "notifications_accepted_total") == {"": 10}
    assert numbers(samples, "notifications_refused_total") == {
        "forged_client_state": 4,
        "wrong_tenant": 2,
        "unknown_subscription": 0,
        "malformed": 1,
        "too_large": 2,
        "store_unavailable": 1,
    }
    assert numbers(samples, "notification_answer_seconds_count") == {"": 6}
    assert {"2.5", "3.0", "4.0"} <= numbers(samples, "notification_answer_seconds_bucket").keys()


def measured(scene: Scene) -> Figures:
    return scene.services.door.pace.figures(scene.clock.now())


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail
