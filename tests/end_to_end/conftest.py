"""The school, connected and running, as the demo runs it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.demo import Demo, demo
from gateway.sandbox import Behaviour, Sandbox
from gateway.settings import Settings
from storage import Transaction

PATIENCE_S = 60


def quick() -> Behaviour:
    """A sandbox in which everything happens at once."""
    return Behaviour.at_once()


@asynccontextmanager
async def running_school(behaviour: Behaviour | None = None) -> AsyncIterator[Demo]:
    """Gateway and sandbox on free ports, the school connected, its mailboxes watched."""
    sandbox = Sandbox(behaviour=behaviour or quick())
    async with demo(Settings(port=0), sandbox=sandbox, stop=asyncio.Event()) as running:
        yield running


@pytest.fixture
async def school() -> AsyncIterator[Demo]:
    async with running_school() as running:
        yield running


@pytest.fixture
async def api(school: Demo) -> AsyncIterator[httpx.AsyncClient]:
    """SELMA's client, with a key of all scopes."""
    async with api_client(school) as client:
        yield client


def api_client(running: Demo) -> httpx.AsyncClient:
    """A client of the gateway's API."""
    headers = {"authorization": f"Bearer {running.key_value}"}
    return httpx.AsyncClient(base_url=running.url, headers=headers, timeout=30, trust_env=False)


async def until(running: Demo, holds: Callable[[Transaction], bool]) -> None:
    """Wait, commit by commit, until a question to the store is answered with yes."""
    store = running.gateway.store
    with store.watching("events", "outbox", "folders", "subscriptions") as changed:
        async with asyncio.timeout(PATIENCE_S):
            while not await store.read(holds):
                await changed.wait()
                changed.clear()
