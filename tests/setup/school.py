"""A school that is connected, its Microsoft 365 in the sandbox, and everything on one clock."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

import storage
from gateway.connections import Connections
from gateway.sandbox import Sandbox, school
from gateway.sandbox.model import App
from gateway.sandbox.school import School
from gateway.settings import Settings
from gateway.setup.account import AccountConfiguration, configure
from gateway.setup.rotation import Rotation
from storage import accounts, credentials, events
from storage.accounts import TokenState
from storage.credentials import Credential, CredentialState
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock
from tests.fire.one_clock import ToGraph, login_client

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass
class Scene:
    """A connected account, its Entra in the sandbox, and everything on one clock."""

    store: storage.Store
    clock: FakeClock
    key: MasterKey
    school: School
    sandbox: Sandbox
    account_id: str
    connections: Connections
    way: ToGraph
    http: httpx.AsyncClient

    @property
    def rotation(self) -> Rotation:
        return Rotation(self.store, self.connections, self.clock, self.key)

    @property
    def app(self) -> App:
        return self.sandbox.world.directory.apps[self.school.client_id]

    def new_secret(self, days: int = 300) -> str:
        return self.sandbox.world.add_secret(self.app, self.clock.now() + days * DAY)

    def revoke(self, value: str) -> None:
        [key_id] = [one.key_id for one in self.app.secrets if one.value == value]
        self.sandbox.world.directory.revoke(self.app, key_id)

    async def token(self) -> str:
        return await (await self.connections.tokens(self.account_id)).token()

    async def fresh_token(self) -> str:
        await self.connections.forget(self.account_id)
        return await self.token()

    async def in_slots(self) -> dict[CredentialState, Credential]:
        return {one.state: one for one in await self.store.read(credentials.slots, self.account_id)}

    async def told(self) -> list[str]:
        found = await self.store.read(events.after, self.account_id, 0, limit=1000)
        return [event.type.removeprefix("credential.") for event in found]

    async def state(self) -> TokenState:
        return (await self.store.read(accounts.get, self.account_id)).token_state


@asynccontextmanager
async def connected_school(folder: Path) -> AsyncIterator[Scene]:
    clock, key = FakeClock(), MasterKey.new()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(storage.open_store(folder / "gateway.db"))
        sandbox = Sandbox(clock=clock, http=await stack.enter_async_context(httpx.AsyncClient()))
        way = ToGraph(sandbox)
        http = await stack.enter_async_context(httpx.AsyncClient(transport=way))
        login = login_client(sandbox, way)
        connections = Connections(store, key, Settings(), clock, http=http, login_http=login)
        account = await store.write(accounts.add, "SELMA", now=clock.now())
        built = Scene(
            store=store,
            clock=clock,
            key=key,
            school=school.build(sandbox),
            sandbox=sandbox,
            account_id=account.id,
            connections=connections,
            way=way,
            http=http,
        )
        configuration = AccountConfiguration(
            tenant_id=built.school.tenant_id,
            client_id=built.school.client_id,
            client_secret=built.school.client_secret,
            secret_expires_at=built.school.secret_expires_at,
        )
        await store.write(configure, account.id, configuration, key=key, now=clock.now())
        await built.token()
        clock.advance(MINUTE)
        yield built
