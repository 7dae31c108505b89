"""What surrounds every request: sizes, ids, headers, and errors that nobody foresaw."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message

import storage
from gateway.http.middleware import KIB, MIB
from gateway.http.problem_types import TYPES
from gateway.readiness import Part
from tests.http.scene import Scene, a_letter
from tests.http.shape import assert_problem

TOO_LARGE = [("/v1/messages", 16 * MIB), ("/v1/mailboxes", 256 * KIB), ("/graph/notifications", 256 * KIB)]
JSON = {"content-type": "application/json"}


async def never() -> Message:
    """A body of which nothing comes."""
    await asyncio.Event().wait()
    raise AssertionError


async def endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0)
        yield b" " * (64 * KIB)


@pytest.mark.parametrize(("path", "limit"), TOO_LARGE)
async def test_a_body_that_says_it_is_too_large_is_refused_though_nothing_of_it_comes(
    scene: Scene, path: str, limit: int
) -> None:
    heard: list[Message] = []

    async def hear(message: Message) -> None:
        heard.append(message)

    headers = [(b"content-length", str(limit + 1).encode()), (b"authorization", f"Bearer {scene.key}".encode())]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    async with asyncio.timeout(1):
        await scene.app(scope, never, hear)
    assert heard[0]["status"] == 413
    assert (b"connection", b"close") in heard[0]["headers"]


@pytest.mark.parametrize(("path", "limit"), TOO_LARGE)
async def test_a_body_that_is_too_large_is_refused_with_the_limit(
    scene: Scene, api: httpx.AsyncClient, path: str, limit: int
) -> None:
    before = await scene.rows()
    answer = await api.post(path, content=b" " * (limit + 1), headers=JSON)
    assert f"{limit:,}" in assert_problem(answer, 413, "body-too-large")["detail"]
    assert await scene.rows() == before


@pytest.mark.parametrize(("path", "limit"), TOO_LARGE)
async def test_a_body_that_comes_without_end_is_refused(
    scene: Scene, api: httpx.AsyncClient, path: str, limit: int
) -> None:
    before = await scene.rows()
    async with asyncio.timeout(5):
        assert_problem(await api.post(path, content=endless(), headers=JSON), 413, "body-too-large")
    assert await scene.rows() == before
    assert scene.receiver.came == []


async def test_where_notifications_are_rich_graph_may_send_more_and_nobody_else(scene: Scene) -> None:
    rich = scene.with_settings(rich_notifications=True)
    async with rich.client(key="") as graph:
        for path in ("/graph/notifications", "/graph/lifecycle"):
            assert (await graph.post(path, content=b" " * 8 * MIB)).status_code == 202
            assert_problem(await graph.post(path, content=b" " * (8 * MIB + 1)), 413, "body-too-large")
        assert_problem(await graph.post("/v1/mailboxes", content=b" " * MIB, headers=JSON), 413, "body-too-large")


async def test_there_is_room_for_so_much_at_once_and_for_plain_notifications_always(scene: Scene) -> None:
    rich = scene.with_settings(rich_notifications=True)
    inside, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def stay() -> None:
        inside.release()
        await go_on.wait()

    scene.receiver.then = stay
    async with rich.client(key="") as graph, asyncio.TaskGroup() as group:
        large = [group.create_task(graph.post("/graph/notifications", content=b" " * 8 * MIB)) for _ in range(2)]
        for _ in large:
            await inside.acquire()
        assert_problem(await graph.post("/graph/notifications", content=b" " * MIB), 503, "unavailable")
        plain = group.create_task(graph.post("/graph/notifications", content=b" " * 256 * KIB))
        await inside.acquire()
        go_on.set()
    assert [(await one).status_code for one in (*large, plain)] == [202, 202, 202]
    scene.receiver.then = None
    async with rich.client(key="") as graph:
        assert (await graph.post("/graph/notifications", content=b" " * 8 * MIB)).status_code == 202


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "9" * 30])
async def test_a_length_that_is_none_is_refused(api: httpx.AsyncClient, length: str) -> None:
    answer = await api.post("/v1/mailboxes", content=b"{}", headers={"content-length": length})
    assert answer.status_code in (400, 413)
    assert_problem(answer, answer.status_code, {400: "bad-request", 413: "body-too-large"}[answer.status_code])


async def test_a_letter_with_the_largest_attachments_fits(api: httpx.AsyncClient) -> None:
    attachment = {"name": "a.bin", "content": "AAAA" * 999_999}
    answer = await api.post("/v1/messages", json=a_letter(attachments=[attachment] * 4))
    assert answer.status_code == 202


async def test_an_unknown_address_is_a_problem_too(api: httpx.AsyncClient) -> None:
    for path in ("/v2", "/v1", "/v1/messages/", "/nothing", "/%00", "/v1/%ff"):
        assert_problem(await api.get(path), 404, "not-found")


async def test_a_callers_request_id_is_kept_when_it_is_a_plain_word(api: httpx.AsyncClient) -> None:
    kept = await api.get("/nothing", headers={"x-request-id": "selma-77.x"})
    made = await api.get("/nothing", headers={"x-request-id": "no spaces <b>"})
    assert kept.headers["x-request-id"] == "selma-77.x"
    assert len(made.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/v1/account", "/healthz", "/docs", "/openapi.json", "/nothing", "/problems"])
async def test_every_answer_has_the_strict_headers(api: httpx.AsyncClient, path: str) -> None:
    headers = (await api.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in headers


async def test_an_error_that_nobody_foresaw_tells_nothing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.setup.fails = RuntimeError("student S1001 at /secret/path")
    async with scene.client() as client:
        answer = await client.post("/v1/account/check")
    assert_problem(answer, 500, "internal-error")
    assert "S1001" not in answer.text + caplog.text
    [record] = [record for record in caplog.records if record.name == "gateway.http.problems"]
    fields = record.__dict__
    assert (fields["error"], fields["request_id"]) == ("RuntimeError", answer.headers["x-request-id"])
    assert any("scene.py" in frame for frame in fields["frames"])


async def test_a_store_that_cannot_be_used_is_503_and_tells_no_path(scene: Scene) -> None:
    scene.setup.fails = storage.StorageUnavailable("/srv/data/gateway.db: database or disk is full")
    async with scene.client() as client:
        assert_problem(await client.post("/v1/account/check"), 503, "unavailable")


async def test_every_problem_type_is_explained_at_its_address(api: httpx.AsyncClient) -> None:
    for problem_type in TYPES.values():
        explained = (await api.get(problem_type.uri)).json()
        assert explained["status"] == problem_type.status
        assert explained["meaning"]
    assert len((await api.get("/problems")).json()) == len(TYPES)
    assert_problem(await api.get("/problems/none"), 404, "not-found")


async def test_health_is_open_and_readiness_names_its_parts(scene: Scene) -> None:
    async with scene.client(key="") as anyone:
        assert (await anyone.get("/healthz")).status_code == 200
        assert (await anyone.get("/readyz")).json() == {
            "ready": True,
            "parts": [{"name": "store", "ok": True, "detail": "The database can be written."}],
        }
        scene.readiness.parts += (Part(name="credential", ok=False, detail="The secret expired."),)
        answer = await anyone.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
