"""The short way past the application, over real sockets: whoever takes it gets what the long way would give them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from gateway.direct import WHOLE_WITHIN_S, Answer
from gateway.serving import listen, server_for


class Way:
    """Takes whatever is posted to `/short`, and answers when `go_on` is set, or at once. Leaves alone what says so."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.left: list[str] = []
        self.go_on: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def is_for(self, scope: Scope) -> bool:
        return scope["path"] == "/short"

    def take(self, scope: Scope, body: bytes, answer: Answer) -> bool:
        if body == b"left alone":
            return False
        self.taken.append(body)
        task = asyncio.get_running_loop().create_task(self._answer(body, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, body: bytes, answer: Answer) -> None:
        if self.go_on is not None:
            await self.go_on.wait()
        text = bytes(2_000_000) if body == b"huge" else b"short " + body
        answer(200, b"content-type: text/plain\r\ncontent-length: %d\r\n" % len(text), text)


async def long(request: Request) -> Response:
    request.app.state.short_way.left.append(request.method + request.url.path)
    return PlainTextResponse(b"long " + await request.body())


class Site:
    """A server on loopback, and its short way."""

    def __init__(self, way: Way, address: tuple[str, int]) -> None:
        self.way = way
        self._address = address

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client."""
        return await asyncio.open_connection(*self._address)

    async def exchange(self, *pieces: bytes, answers: int = 1) -> list[tuple[str, dict[str, str], bytes]]:
        """Send the pieces, one after another, each once the one before has arrived; read so many answers."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await self.settle()
            async with asyncio.timeout(10):
                return [await read(reader) for _ in range(answers)]
        finally:
            writer.transport.abort()

    async def settle(self) -> None:
        """The server has read what was sent: another connection, made after that, has been answered."""
        reader, writer = await self.connect()
        writer.write(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n")
        await read(reader)
        writer.transport.abort()


async def read(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *rest = head.splitlines()[:-1]
    headers = dict(line.split(": ", 1) for line in rest)
    return first, headers, await reader.readexactly(int(headers.get("content-length", 0)))


@asynccontextmanager
async def served(*, whole_within_s: float = WHOLE_WITHIN_S) -> AsyncIterator[Site]:
    app = Starlette(routes=[Route(path, long, methods=["GET", "POST"]) for path in ("/short", "/long")])
    app.state.short_way = way = Way()
    server = server_for(app, whole_within_s=whole_within_s)
    with listen("127.0.0.1", 0) as listener:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            try:
                yield Site(way, listener.getsockname())
            finally:
                server.should_exit = True


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with served() as site:
        yield site


@pytest.fixture
async def hasty() -> AsyncIterator[Site]:
    """What is not whole with its head is not waited for."""
    async with served(whole_within_s=0) as site:
        yield site


def post(body: bytes, path: str = "/short", version: str = "1.1", **headers: str) -> bytes:
    told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/{version}\r\nhost: a\r\n{told}content-length: {len(body)}\r\n\r\n".encode() + body


async def test_what_comes_whole_is_taken_and_all_else_goes_the_usual_way(site: Site) -> None:
    whole, other, left = post(b"one"), post(b"two", "/long"), post(b"left alone")
    bare, in_two, again = post(b""), post(b"three"), post(b"four")
    bodies = [
        (await site.exchange(*pieces))[0][2]
        for pieces in ([whole], [other], [left], [bare], [in_two[:20], in_two[20:]], [again[:-2], again[-2:]])
    ]
    assert bodies == [b"short one", b"long two", b"long left alone", b"short ", b"short three", b"short four"]
    assert site.way.taken == [b"one", b"", b"three", b"four"]


async def test_who_is_slow_to_send_the_rest_goes_the_usual_way(hasty: Site) -> None:
    late = post(b"late")
    assert [body for _, _, body in await hasty.exchange(late[:-2], late[-2:])] == [b"long late"]


async def test_what_is_too_long_to_be_read_at_once_goes_the_usual_way(site: Site) -> None:
    [(_, _, body)] = await site.exchange(post(bytes(1_000_000)))
    assert body == b"long " + bytes(1_000_000)


async def test_an_answer_has_the_head_that_any_answer_has(site: Site) -> None:
    [short], [usual] = await site.exchange(post(b"x")), await site.exchange(post(b"x", "/long"))
    assert short[0] == usual[0] == "HTTP/1.1 200 OK"
    assert short[1].keys() == usual[1].keys()
    assert {"date", "content-length"} <= short[1].keys()


@pytest.mark.parametrize("request_", [post(b"x", connection="close"), post(b"x", version="1.0")])
async def test_who_wants_the_connection_to_end_sees_it_end(site: Site, request_: bytes) -> None:
    reader, writer = await site.connect()
    writer.write(request_)
    async with asyncio.timeout(10):
        _, headers, body = await read(reader)
        assert (headers["connection"], body) == ("close", b"short x")
        assert await reader.read() == b""
    writer.transport.abort()


async def test_answers_come_in_the_order_of_the_requests_whichever_way_they_go(site: Site) -> None:
    site.way.go_on = asyncio.Event()
    requests = [post(b"1"), post(b"2", "/long"), post(b"3"), post(b"left alone"), post(b"5")]
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(site.exchange(b"".join(requests), answers=5))
        await site.settle()
        assert site.way.taken == [b"1"]
        site.way.go_on.set()
        bodies = [body for _, _, body in await waiting]
    assert bodies == [b"short 1", b"long 2", b"short 3", b"long left alone", b"short 5"]


async def test_the_same_is_true_of_a_request_that_had_to_wait_for_its_turn(hasty: Site) -> None:
    hasty.way.go_on = asyncio.Event()
    later = post(b"later")
    reader, writer = await hasty.connect()
    async with asyncio.timeout(10):
        writer.write(post(b"first") + later[:-3])
        await hasty.settle()
        hasty.way.go_on.set()
        assert (await read(reader))[2] == b"short first"
        await hasty.settle()
        assert "POST/short" in hasty.way.left  # so there is somebody who waits for it, and not for ever
        writer.write(later[-3:])
        assert (await read(reader))[2] == b"long later"
    writer.transport.abort()


async def test_who_asks_first_whether_to_send_is_told_so(site: Site) -> None:
    reader, writer = await site.connect()
    whole = post(b"x", expect="100-continue")
    async with asyncio.timeout(10):
        writer.write(whole[:-1])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(whole[-1:])
        assert (await read(reader))[2] == b"long x"
    writer.transport.abort()


async def test_who_hangs_up_before_the_answer_harms_nobody(site: Site) -> None:
    site.way.go_on = asyncio.Event()
    _, writer = await site.connect()
    writer.write(post(b"gone"))
    await site.settle()
    writer.transport.abort()
    await site.settle()
    site.way.go_on.set()
    assert (await site.exchange(post(b"next")))[0][2] == b"short next"
    assert site.way.taken == [b"gone", b"next"]


async def test_a_server_that_ends_gives_the_answers_it_owes() -> None:
    async with served() as site:
        site.way.go_on = asyncio.Event()
        reader, writer = await site.connect()
        writer.write(post(b"owed"))
        await site.settle()
        asyncio.get_running_loop().call_later(0.3, site.way.go_on.set)
    async with asyncio.timeout(10):
        _, headers, body = await read(reader)
    assert (headers["connection"], body) == ("close", b"short owed")
    writer.transport.abort()


async def test_who_reads_no_answers_is_served_no_more_of_them(site: Site) -> None:
    """Otherwise what they do not read would be kept for them, without an end."""
    _, writer = await site.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(40):
        writer.write(post(b"huge"))
        await site.settle()
    assert len(site.way.taken) < 30
    writer.transport.abort()
