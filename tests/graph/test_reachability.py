"""What a real socket does, seen through the client as it is built for production: with proxies about, and without."""

import asyncio
import gzip
import socket
import struct
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.graph import GraphClient, Unreachable, build_http
from gateway.graph.pool import PooledTransport

from .fakes import SkippingClock, Tokens

OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def reset_after_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    reset(writer)


async def reset_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def reset_after_the_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    reset(writer)


async def close_without_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK[:20])
    await writer.drain()
    writer.close()


async def half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    writer.close()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
    await writer.drain()
    writer.close()


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await writer.drain()
    writer.close()


class Script:
    """Answers the requests of each connection in turn, as told, and then hangs up. `heard` has all that came in."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.heard: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heard.append(head)
                if not self._answers:
                    break
                writer.write(self._answers.pop(0))
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        writer.close()


@pytest.fixture(params=["directly", "where the environment names a proxy"])
def road(request, monkeypatch):
    """How `build_http` makes its client; this machine itself is never behind the proxy."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    if request.param != "directly":
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    return request.param


@asynccontextmanager
async def server(behaviour):
    """Its port. At the end every connection has been served to its own end."""
    serving = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        await behaviour(reader, writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
    await asyncio.gather(*serving)


async def send_through(url: str) -> None:
    async with build_http() as http:
        await GraphClient(http, Tokens(), url, clock=SkippingClock()).send_draft("ada@school.example", "m")


@pytest.mark.usefixtures("road")
@pytest.mark.parametrize("behaviour", [reset_after_reading, close_without_an_answer, half_an_answer, garbage])
async def test_a_server_that_saw_the_request_and_broke_off_leaves_it_unknown(behaviour):
    async with server(behaviour) as port:
        with pytest.raises(Unreachable) as unreachable:
            await send_through(f"http://127.0.0.1:{port}")
    assert unreachable.value.sent is True


@pytest.mark.usefixtures("road")
async def test_a_connection_reset_before_the_request_was_read_is_still_unknown():
    async with server(reset_at_once) as port:
        with pytest.raises(Unreachable) as unreachable:
            await send_through(f"http://127.0.0.1:{port}")
    assert unreachable.value.sent is True


@pytest.mark.usefixtures("road")
async def test_nobody_listening_means_nothing_was_sent():
    async with server(accept) as port:
        pass
    with pytest.raises(Unreachable) as unreachable:
        await send_through(f"http://127.0.0.1:{port}")
    assert unreachable.value.sent is False


@pytest.mark.usefixtures("road")
@pytest.mark.parametrize("behaviour", [reset_at_once, reset_after_the_hello])
async def test_a_tls_handshake_that_fails_means_nothing_was_sent(behaviour):
    async with server(behaviour) as port:
        with pytest.raises(Unreachable) as unreachable:
            await send_through(f"https://127.0.0.1:{port}")
    assert unreachable.value.sent is False


async def test_a_server_on_this_machine_is_reached_past_the_environments_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with server(accept) as port:
        await send_through(f"http://127.0.0.1:{port}")
        await send_through(f"http://localhost:{port}")


@pytest.mark.usefixtures("road")
async def test_a_host_without_an_address_means_nothing_was_sent():
    with pytest.raises(Unreachable) as unreachable:
        await send_through("https://graph.invalid")
    assert unreachable.value.sent is False


@pytest.mark.usefixtures("road")
async def test_a_submission_is_never_repeated_on_another_connection():
    """Also not when the server hangs up on a connection that was kept, which is often thought harmless to repeat."""
    script = Script(OK)
    async with server(script) as port, build_http() as http:
        graph = GraphClient(http, Tokens(), f"http://127.0.0.1:{port}", clock=SkippingClock())
        await graph.send_draft("ada@school.example", "first")
        with pytest.raises(Unreachable) as unreachable:
            await graph.send_draft("ada@school.example", "second")
    assert unreachable.value.sent is True
    assert [b"second" in head for head in script.heard] == [False, True]


@pytest.mark.usefixtures("road")
async def test_a_connection_is_kept_for_the_next_call():
    script = Script(OK, OK, OK)
    async with server(script) as port, build_http() as http:
        for _ in range(3):
            answer = await http.post(f"http://127.0.0.1:{port}/")
            assert answer.status_code == httpx.codes.ACCEPTED
    assert script.connections == 1


@pytest.mark.usefixtures("road")
async def test_a_url_goes_out_letter_by_letter_as_it_is_and_headers_are_ours_alone():
    script = Script(OK)
    path = "/v1.0/users/a%40b/messages/AA%2Fk%3D/attachments?$filter=x%20eq%20%27a%2Bb%27&%24deltatoken=aZ-_.~%7E"
    async with server(script) as port, build_http() as http:
        http.headers.clear()
        await http.post(f"http://127.0.0.1:{port}{path}", headers={"authorization": "Bearer t"}, content=b"{}")
    line, *headers = script.heard[0].decode().split("\r\n")
    assert line == f"POST {path} HTTP/1.1"
    assert sorted(one.partition(":")[0].lower() for one in headers if one) == [
        "authorization",
        "content-length",
        "host",
    ]


@pytest.mark.usefixtures("road")
async def test_a_packed_answer_is_unpacked():
    packed = gzip.compress(b'{"value": []}')
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with server(Script(answer + packed)) as port, build_http() as http:
        assert (await http.get(f"http://127.0.0.1:{port}/")).json() == {"value": []}


@pytest.mark.usefixtures("road")
async def test_a_body_that_is_cut_off_is_an_error_and_no_answer():
    async with server(half_a_body) as port, build_http() as http:
        with pytest.raises(httpx.TransportError):
            await http.get(f"http://127.0.0.1:{port}/")


@pytest.mark.usefixtures("road")
async def test_an_answer_that_is_left_half_read_takes_its_connection_with_it():
    """Else the rest of it would be the beginning of the next answer."""
    script = Script(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", OK)
    async with server(script) as port, build_http() as http:
        async with http.stream("GET", f"http://127.0.0.1:{port}/") as answer:
            async for piece in answer.aiter_bytes():
                assert piece == b"half"
                break
        assert (await http.post(f"http://127.0.0.1:{port}/")).status_code == httpx.codes.ACCEPTED
    assert script.connections == 2


@pytest.mark.usefixtures("road")
async def test_a_server_that_says_nothing_in_time_leaves_it_unknown():
    heard = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heard.set()
        await reader.read()
        writer.close()

    async with server(silence) as port, build_http() as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(f"http://127.0.0.1:{port}/", timeout=httpx.Timeout(None, read=0.1))
    assert heard.is_set()


@pytest.mark.usefixtures("road")
async def test_a_tls_handshake_without_an_end_means_nothing_was_sent():
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with server(silence) as port, build_http() as http:
        with pytest.raises(httpx.ConnectTimeout):
            await http.post(f"https://127.0.0.1:{port}/", timeout=httpx.Timeout(None, connect=0.1))


async def test_a_call_without_a_place_in_time_was_not_sent():
    unfinished = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    pool = PooledTransport(httpx.create_ssl_context(), most=1, keep_s=1)
    async with (
        server(Script(unfinished)) as port,
        httpx.AsyncClient(transport=pool) as http,
        http.stream("GET", f"http://127.0.0.1:{port}/"),
    ):
        with pytest.raises(httpx.ConnectTimeout):
            await http.post(f"http://127.0.0.1:{port}/", timeout=httpx.Timeout(None, pool=0.1))
