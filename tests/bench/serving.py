"""What the server processes have in common: the gateway's own server settings, on uvloop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from gateway.serving import collect_seldom, hand_over_soon, server_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What really answers: uvicorn chooses by what it finds installed, and its h11 is a third as fast as httptools."""

    http: str
    loop: str


def url_of(listener: socket.socket) -> str:
    """Where a listener on loopback is reached."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def served(app: ASGIApp, listener: socket.socket) -> AsyncIterator[Engine]:
    """Answer requests while the block lasts, with the interpreter set as `serve` sets it."""
    collect_seldom()
    hand_over_soon()
    server = server_for(app)
    server.config.load()
    loop = asyncio.get_running_loop()
    protocol = next(one for one in server.config.http_protocol_class.__mro__ if one.__module__.startswith("uvicorn"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        yield Engine(http=f"{protocol.__module__}.{protocol.__qualname__}", loop=type(loop).__module__)
        server.should_exit = True
