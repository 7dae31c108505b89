"""The socket, on the event loop that serves."""

import asyncio
import socket
import sys
from contextlib import ExitStack

import pytest
from starlette.types import Receive, Scope, Send

from gateway.serving import listen, server_for

MANY = 40
TURNS = 10


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody asks")


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
def test_whoever_waits_at_the_socket_is_let_in_within_a_few_turns_of_the_loop() -> None:
    """In a storm a turn takes a tenth of a second: one connection in each, and some would wait for seconds."""
    import uvloop

    async def scenario() -> None:
        server = server_for(nothing)
        with listen("127.0.0.1", 0) as listener, ExitStack() as clients:
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[listener]))
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for that
                    await asyncio.sleep(0)
                for _ in range(MANY):  # the kernel takes them; the loop does not turn meanwhile
                    clients.enter_context(socket.create_connection(listener.getsockname()))
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                assert len(server.server_state.connections) == MANY
                server.should_exit = True

    uvloop.run(scenario())
