"""The school, connected and running: as the demo runs it, in one process; and in processes of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.demo import Demo, demo
from gateway.sandbox import Behaviour, Sandbox
from gateway.settings import Settings
from storage import Transaction
from tests.end_to_end.processes import Microsoft, Process, connect, settings_for

PATIENCE_S = 60


def quick() -> Behaviour:
    """A sandbox in which everything happens at once."""
    return Behaviour.at_once()


@asynccontextmanager
async def running_school(behaviour: Behaviour | None = None, **changes: Any) -> AsyncIterator[Demo]:
    """Gateway and sandbox on free ports, the school connected, its mailboxes watched; `changes` are of settings."""
    sandbox = Sandbox(behaviour=behaviour or quick())
    settings = Settings(port=0, letters_per_minute=100_000, **changes)  # its pace is not what these tests wait for
    async with demo(settings, sandbox=sandbox, stop=asyncio.Event()) as running:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An installed gateway that does not run yet: its environment, a key of all scopes, the sandbox it works with."""

    env: dict[str, str]
    key: str
    microsoft: Microsoft

    @property
    def url(self) -> str:
        """Where it listens when it runs."""
        return self.env["GATEWAY_PUBLIC_URL"]

    @property
    def database(self) -> Path:
        """Its file."""
        return Path(self.env["GATEWAY_DATABASE"])

    @property
    def headers(self) -> dict[str, str]:
        """What SELMA sends with each request."""
        return {"authorization": f"Bearer {self.key}"}


@pytest.fixture
def microsoft() -> Iterator[Microsoft]:
    """The sandbox in a process of its own."""
    with Process("sandbox", "--port", "0", "--json") as process:
        yield Microsoft.from_line(process.output_line())


@pytest.fixture
def site(tmp_path: Path, microsoft: Microsoft) -> Site:
    """A gateway that was connected by command line."""
    env = settings_for(microsoft, tmp_path)
    return Site(env=env, key=connect(env, microsoft), microsoft=microsoft)
