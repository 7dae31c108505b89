"""Clients that are slow on purpose, over real sockets: each is cut, and nobody else has to wait for them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sized
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from starlette.types import Receive, Scope, Send

from gateway.patience import Patience, Waits
from gateway.serving import listen, server_for

SHORT = 0.2  # longer than a busy machine needs to send a request
PATIENCE = Patience(
    connections=100, head_s=SHORT, body_s=SHORT, body_bytes_per_s=100_000, write_s=SHORT, linger_s=SHORT, pipelined=4
)
LONG = replace(PATIENCE, head_s=60, body_s=60, write_s=60, linger_s=60)
PROBE = b"GET /probe HTTP/1.1\r\nhost: a\r\n\r\n"
MIB = 1024 * 1024


class App:
    """`/probe` is answered at once, `/flood` without end, `/wait` when `go_on` is set; of a body only `/read` reads."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = asyncio.Event()
        self.read = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, body = scope["path"], b"here"
        self.begun.set()
        if path == "/read":
            while (message := await receive()).get("more_body"):
                self.read += len(message["body"])
            self.read += len(message.get("body", b""))
        if path == "/wait":
            await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if path == "/flood":
            for _ in range(100):
                await send({"type": "http.response.body", "body": bytes(MIB), "more_body": True})
        if path == "/large":
            body = bytes(60_000)  # less than what makes a transport ask for a pause
        await send({"type": "http.response.body", "body": body})


class Wire:
    """A client's end. `send` writes, `until_end` reads what there is until the server has closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def until_end(self) -> bytes:
        async with asyncio.timeout(20):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""

    async def until_answer(self) -> bytes:
        async with asyncio.timeout(20):
            return await self.reader.readuntil(b"\r\n0\r\n\r\n")


class Site:
    """A server on loopback. `connections` are those that it has."""

    def __init__(self, address: tuple[str, int], connections: Sized) -> None:
        self.address = address
        self.connections = connections
        self.wires: list[Wire] = []

    async def connect(self) -> Wire:
        """Another client."""
        self.wires.append(Wire(*await asyncio.open_connection(*self.address)))
        return self.wires[-1]


@asynccontextmanager
async def served(app: App, patience: Patience) -> AsyncIterator[Site]:
    """Serve while the block lasts. The kernel keeps little of what is written and not read."""
    server = server_for(app, patience=patience)
    with listen("127.0.0.1", 0) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        site = Site(listener.getsockname(), server.server_state.connections)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            try:
                yield site
            finally:
                app.go_on.set()
                for wire in site.wires:
                    wire.writer.transport.abort()
                server.should_exit = True


SLOW = {
    "nothing": (b"", b""),
    "empty lines": (b"\r\n", b""),
    "headers": (b"GET /probe HTTP/1.1\r\nhost: a\r\nx-slow: ", b"HTTP/1.1 408 "),
    "a body": (b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf", b""),
    "a chunk": (b"POST /read HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\n", b""),
    "a body that nobody wants": (b"POST /probe HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n", b"HTTP/1.1 200 "),
}


async def test_who_does_not_go_on_is_cut() -> None:
    async with served(App(), PATIENCE) as site:
        wires = {name: await site.connect() for name in SLOW}
        for name, wire in wires.items():
            await wire.send(SLOW[name][0])
        for name, wire in wires.items():
            assert (await wire.until_end()).startswith(SLOW[name][1]), name


async def test_a_trickle_of_headers_does_not_prolong_the_time_and_one_of_a_body_earns_what_it_brings() -> None:
    app = App()
    async with served(app, PATIENCE) as site:
        head, body = await site.connect(), await site.connect()
        await head.send(b"GET /probe HTTP/1.1\r\n")
        await body.send(b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")

        async def trickle(wire: Wire, data: bytes) -> None:
            while not wire.reader.at_eof():
                await wire.send(data)
                await asyncio.sleep(SHORT / 10)

        async with asyncio.TaskGroup() as group:
            trickles = [
                group.create_task(trickle(head, b"x-a: b\r\n")),
                group.create_task(trickle(body, b"x")),  # far less than it should be
            ]
            assert (await head.until_end())[:13] in (b"HTTP/1.1 408 ", b"")  # lost, as more was under way
            assert await body.until_end() == b""
            for one in trickles:
                one.cancel()
    assert app.read < 1000


async def test_who_does_not_read_is_cut_whether_much_is_left_or_little() -> None:
    app = App()
    async with served(app, PATIENCE) as site:
        with socket.socket() as one, socket.socket() as other:
            for deaf, path in ((one, b"/flood"), (other, b"/large")):
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.connect(site.address)
                deaf.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            async with asyncio.timeout(20):
                await app.begun.wait()
                while site.connections:  # noqa: ASYNC110 - nothing tells of them
                    await asyncio.sleep(SHORT / 10)


async def test_an_empty_line_after_an_answer_buys_no_time() -> None:
    async with served(App(), PATIENCE) as site:
        wire = await site.connect()
        await wire.send(PROBE)
        await wire.until_answer()
        await wire.send(b"\r\n")
        assert await wire.until_end() == b""


async def test_headers_have_an_end() -> None:
    begin = b"GET /probe HTTP/1.1\r\n"
    async with served(App(), LONG) as site:
        for said in (begin + b"x-a: " + b"b" * 200_000, begin + b"x-a: b\r\n" * 20_000, b"GET /" + b"a" * 200_000):
            wire = await site.connect()
            await wire.send(said)
            assert (await wire.until_end())[:13] in (b"HTTP/1.1 431 ", b"")  # lost, when more was under way


async def test_what_is_beside_a_body_has_an_end_too() -> None:
    async with served(App(), LONG) as site:
        wire = await site.connect()
        await wire.send(b"POST /read HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        await wire.send(b"x-trailer: " + b"b" * 400_000)
        assert await wire.until_end() == b""


async def test_a_connection_has_so_many_requests_before_it_waits_for_answers() -> None:
    app = App()
    async with served(app, LONG) as site:
        wire = await site.connect()
        await wire.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n" + PROBE * 20)
        assert b"HTTP/1.1 400 " in await wire.until_end()


async def test_among_too_many_the_one_that_has_kept_us_waiting_longest_goes_and_a_newcomer_is_answered() -> None:
    async with served(App(), replace(LONG, connections=3)) as site:
        slow = [await site.connect() for _ in range(3)]
        for wire in slow:
            await wire.send(b"GET /probe HTTP/1.1\r\nx-slow: ")
        graph = await site.connect()
        await graph.send(PROBE)
        assert (await graph.until_answer()).startswith(b"HTTP/1.1 200 ")
        assert await slow[0].until_end() == b""
        await slow[2].send(b"x\r\nhost: a\r\n\r\n")
        assert (await slow[2].until_answer()).startswith(b"HTTP/1.1 200 ")


async def test_nobody_who_waits_for_us_is_cut_for_a_newcomer() -> None:
    app = App()
    async with served(app, replace(LONG, connections=2)) as site:
        patient = [await site.connect() for _ in range(2)]
        for wire in patient:
            await wire.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        newcomer = await site.connect()
        assert await newcomer.until_end() == b""
        app.go_on.set()
        for wire in patient:
            assert (await wire.until_answer()).startswith(b"HTTP/1.1 200 ")


def test_cut_connections_are_told_of_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    waits = Waits()
    for now in (0.0, 1.0, 9.0, 10.0):
        waits.was_cut("request too slow", now)
    assert [record.because for record in caplog.records] == [{"request too slow": 1}, {"request too slow": 3}]
