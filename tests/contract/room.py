"""A gateway within this process, for trials that ask it a thousand small things."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx

from storage import open_store
from tests.fakes.clock import FakeClock
from tests.http.scene import build

T = TypeVar("T")


def with_client(work: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """What `work` gives, with a client whose key may do all."""

    async def do() -> T:
        with tempfile.TemporaryDirectory() as folder:
            async with open_store(Path(folder) / "gateway.db") as store:
                scene = (await build(store, FakeClock())).with_settings(requests_per_minute=0)
                async with scene.client() as client:
                    return await work(client)

    return asyncio.run(do())
