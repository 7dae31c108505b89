"""Connections: what Entra answers to a token request is kept on the account, in plain words."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.connections import Connections, NotConnected
from gateway.graph import CredentialRefused
from gateway.pace import Pace
from gateway.pulse import Pulse
from gateway.readiness import Health
from gateway.sandbox import Sandbox, school
from gateway.sandbox.school import School
from gateway.settings import Settings
from gateway.setup.account import AccountConfiguration, configure
from gateway.space import Space
from storage import Store, accounts, events, open_store
from storage.accounts import TokenState
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock

ENTRA = "http://127.0.0.1:1"


@dataclass
class Scene:
    """An account whose Entra is the sandbox's, all on one clock that stands still."""

    store: Store
    clock: FakeClock
    key: MasterKey
    school: School
    connections: Connections
    account_id: str

    async def configure(self, secret: str) -> None:
        configuration = AccountConfiguration(
            tenant_id=self.school.tenant_id,
            client_id=self.school.client_id,
            client_secret=secret,
            secret_expires_at=self.school.secret_expires_at,
        )
        now = self.clock.now()
        await self.store.write(configure, self.account_id, configuration, key=self.key, now=now)

    async def token(self) -> str:
        return await (await self.connections.tokens(self.account_id)).token()

    async def account(self) -> accounts.Account:
        return await self.store.read(accounts.get, self.account_id)

    async def event_types(self) -> list[str]:
        return [event.type for event in await self.store.read(events.after, self.account_id, 0, limit=100)]


def client_of(sandbox: Sandbox) -> httpx.Client:
    """A blocking client of the sandbox; tokens are fetched on a thread of their own, which may have its own loop."""

    async def ask(request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as http:
            answer = await http.request(request.method, request.url, headers=request.headers, content=request.content)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return httpx.Client(transport=httpx.MockTransport(lambda request: asyncio.run(ask(request))))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, key = FakeClock(), MasterKey.new()
    async with httpx.AsyncClient() as http, open_store(tmp_path / "gateway.db") as store:
        sandbox = Sandbox(clock=clock, http=http)
        connections = Connections(
            store,
            key,
            Settings(login_url=ENTRA, graph_url=ENTRA),
            clock,
            http=http,
            login_http=client_of(sandbox),
        )
        account = await store.write(accounts.add, "SELMA", now=clock.now())
        yield Scene(
            store=store,
            clock=clock,
            key=key,
            school=school.build(sandbox),
            connections=connections,
            account_id=account.id,
        )


async def test_an_account_without_credential_says_what_to_do(scene: Scene) -> None:
    with pytest.raises(NotConnected, match="Account-Level Configuration"):
        await scene.token()


async def test_a_good_secret_is_recorded_as_such(scene: Scene) -> None:
    await scene.configure(scene.school.client_secret)
    await scene.token()
    assert (await scene.account()).token_state is TokenState.OK


async def test_a_wrong_secret_is_named_as_soon_as_its_first_token_fails(scene: Scene) -> None:
    await scene.configure("wrong~secret")
    with pytest.raises(CredentialRefused):
        await scene.token()
    account = await scene.account()
    assert account.token_state is TokenState.REFUSED
    assert account.token_problem is not None
    assert account.token_problem["aadsts"] == 7000215
    assert "secret" in account.token_problem["explanation"]
    assert await scene.event_types() == ["credential.added", "credential.refused"]


async def test_an_expired_secret_is_told_from_a_wrong_one(scene: Scene) -> None:
    await scene.configure(scene.school.client_secret)
    await scene.token()
    scene.clock.advance(scene.school.secret_expires_at - scene.clock.now() + timedelta(minutes=1))
    with pytest.raises(CredentialRefused):
        await scene.token()
    problem = (await scene.account()).token_problem
    assert problem is not None
    assert (problem["aadsts"], problem["code"]) == (7000222, "secret_expired")


async def test_the_right_secret_entered_later_recovers(scene: Scene) -> None:
    await scene.configure("wrong~secret")
    with pytest.raises(CredentialRefused):
        await scene.token()
    await scene.configure(scene.school.client_secret)
    await scene.token()
    assert (await scene.account()).token_state is TokenState.OK


async def test_a_dead_secret_is_found_without_a_letter(scene: Scene) -> None:
    await scene.configure("wrong~secret")
    await scene.connections.probe_due()
    assert (await scene.account()).token_state is TokenState.REFUSED


async def test_the_probe_asks_again_only_when_it_is_due(scene: Scene) -> None:
    await scene.configure("wrong~secret")
    await scene.connections.probe_due()
    await scene.configure(scene.school.client_secret)
    await scene.connections.probe_due()
    assert (await scene.account()).token_state is TokenState.UNKNOWN
    scene.clock.advance(timedelta(minutes=15))
    await scene.connections.probe_due()
    assert (await scene.account()).token_state is TokenState.OK


async def ready_and_detail(scene: Scene) -> tuple[bool, str]:
    health = Health(scene.store, scene.clock, Pace(), space=Space(), pulse=Pulse())
    health.recovered = True
    readiness = await health.readiness()
    return readiness.ready, readiness.parts[-1].detail


async def test_it_is_not_ready_without_a_credential(scene: Scene) -> None:
    ready, detail = await ready_and_detail(scene)
    assert not ready
    assert "Not connected yet" in detail


async def test_it_is_not_ready_with_a_refused_credential_and_says_why(scene: Scene) -> None:
    await scene.configure("wrong~secret")
    await scene.connections.probe_due()
    ready, detail = await ready_and_detail(scene)
    assert not ready
    assert "Secret ID" in detail


async def test_it_is_ready_with_a_good_credential_and_says_when_it_ends(scene: Scene) -> None:
    await scene.configure(scene.school.client_secret)
    ready, detail = await ready_and_detail(scene)
    assert ready
    assert "200 days" in detail


async def test_it_is_not_ready_on_the_last_day_of_a_secret(scene: Scene) -> None:
    await scene.configure(scene.school.client_secret)
    scene.clock.advance(scene.school.secret_expires_at - scene.clock.now() - timedelta(hours=20))
    ready, detail = await ready_and_detail(scene)
    assert not ready
    assert "within a day" in detail
