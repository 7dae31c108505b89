"""A listener to a stream: drives the app piece by piece, as httpx's own transport reads answers whole."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message

from tests.fakes.clock import FakeClock


@dataclass
class Listening:
    """An open stream. `left` is set to hang up; `over` when the server has ended it."""

    pieces: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    async def next(self) -> str:
        """The next piece, which must come."""
        async with asyncio.timeout(10):
            return await self.pieces.get()

    async def next_event(self) -> dict[str, str]:
        """The fields of the next event; comments are passed over."""
        while True:
            fields = dict(line.split(": ", 1) for line in (await self.next()).splitlines() if line)
            if "event" in fields:
                return fields


@asynccontextmanager
async def listening(app: ASGIApp, path: str, **headers: str) -> AsyncIterator[Listening]:
    """Listen at `path`, with these headers (underscores are dashes), until the block ends."""
    listener = Listening()
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    begun = False

    async def receive() -> Message:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await listener.left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            listener.status = message["status"]
            listener.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message.get("body"):
            listener.pieces.put_nowait(message["body"].decode())

    async def listen() -> None:
        await app(scope, receive, send)
        listener.over.set()

    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        group.create_task(listen())
        try:
            yield listener
        finally:
            listener.left.set()


async def until_asleep(clock: FakeClock) -> None:
    """Let the others run until one of them waits for the clock."""
    while not clock.sleepers:  # noqa: ASYNC110 - nothing tells of a sleeper
        await asyncio.sleep(0)
