"""What a real socket does, seen through the client as it is built for production."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import pytest

from gateway.graph import GraphClient, Unreachable, build_http

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


@asynccontextmanager
async def server(behaviour):
    listening = await asyncio.start_server(behaviour, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def send_through(url: str) -> None:
    async with build_http() as http:
        await GraphClient(http, Tokens(), url, clock=SkippingClock()).send_draft("ada@school.example", "m")


@pytest.mark.parametrize("behaviour", [reset_after_reading, close_without_an_answer, half_an_answer, garbage])
async def test_a_server_that_saw_the_request_and_broke_off_leaves_it_unknown(behaviour):
    async with server(behaviour) as port:
        with pytest.raises(Unreachable) as unreachable:
            await send_through(f"http://127.0.0.1:{port}")
    assert unreachable.value.sent is True


async def test_a_connection_reset_before_the_request_was_read_is_still_unknown():
    async with server(reset_at_once) as port:
        with pytest.raises(Unreachable) as unreachable:
            await send_through(f"http://127.0.0.1:{port}")
    assert unreachable.value.sent is True


async def test_nobody_listening_means_nothing_was_sent():
    async with server(accept) as port:
        pass
    with pytest.raises(Unreachable) as unreachable:
        await send_through(f"http://127.0.0.1:{port}")
    assert unreachable.value.sent is False


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
