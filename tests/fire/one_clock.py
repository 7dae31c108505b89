"""A gateway and a sandbox in one process, on one clock that is moved by hand. The gateway can die and start anew."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx

from gateway.clock import Clock
from gateway.host.deliver import Post
from gateway.main import ensure_account, gateway
from gateway.running import Gateway
from gateway.sandbox import Behaviour, Sandbox, school
from gateway.sandbox.school import School
from gateway.settings import Settings
from gateway.setup.account import AccountConfiguration
from gateway.waiting import first_of
from tests.fakes.clock import FakeClock

PUBLIC_URL: Final = "https://gateway.example"
TOKENS_LIVE: Final = timedelta(days=30)
OVERLOADED: Final = {"error": {"code": "ServiceUnavailable", "message": "Please retry again later."}}


@dataclass(frozen=True, slots=True)
class Striding:
    """The gateway's clock: when it sleeps within a piece of work, the time passes for everybody."""

    clock: FakeClock

    def now(self) -> datetime:
        return self.clock.now()

    async def sleep(self, duration: timedelta) -> None:
        self.clock.advance(max(duration, timedelta(0)))


class ToGraph(httpx.AsyncBaseTransport):
    """The gateway's way to Microsoft 365. It can be cut, and it knows at which call the gateway is to die."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._way = httpx.ASGITransport(sandbox.app)
        self.is_down = False
        self.calls = 0
        self.routes: Counter[str] = Counter()
        self.dies_at: int | None = None
        self.death = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        self.routes[request.url.path.rpartition("/")[2]] += 1
        if self.is_down and self.calls % 2:
            raise httpx.ConnectError("no route to host", request=request)
        if self.is_down:
            return httpx.Response(503, json=OVERLOADED, request=request)
        answer = await self._way.handle_async_request(request)
        if self.dies_at is not None and self.calls >= self.dies_at:  # the act is done, its answer never read
            self.death.set()
            await asyncio.Event().wait()
        return answer


class ToGateway(httpx.AsyncBaseTransport):
    """Graph's way to the gateway, when there is one."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.gateway is None:
            raise httpx.ConnectError("connection refused", request=request)
        way = httpx.ASGITransport(self.gateway.app, raise_app_exceptions=False)
        return await way.handle_async_request(request)


class Site:
    """What runs. Nothing of the gateway but its file outlives a death."""

    def __init__(
        self,
        *,
        folder: Path,
        clock: FakeClock,
        sandbox: Sandbox,
        to_graph: ToGraph,
        to_gateway: ToGateway,
        rich: bool = False,
        post: Post | None = None,
    ) -> None:
        self.rich = rich
        self.post = post
        self.database = folder / "gateway.db"
        self.clock = clock
        self.sandbox = sandbox
        self.to_graph = to_graph
        self.school: School = school.build(sandbox)
        self.deaths = 0
        self._to_gateway = to_gateway
        self._life = AsyncExitStack()

    @property
    def gateway(self) -> Gateway:
        """The one that lives. Raises LookupError when none does."""
        if self._to_gateway.gateway is None:
            raise LookupError("the gateway is down")
        return self._to_gateway.gateway

    @property
    def account_id(self) -> str:
        """Of the only account."""
        return self._account_id

    async def start(self) -> None:
        """Let it live, and take up what the last one left."""
        clock: Clock = Striding(self.clock)
        http = await self._life.enter_async_context(httpx.AsyncClient(transport=self.to_graph))
        login_http = self._life.enter_context(login_client(self.sandbox, self.to_graph))
        settings = Settings(
            database=self.database,
            public_url=PUBLIC_URL,
            letters_per_minute=1_000_000,
            recipients_per_day=1_000_000,
            requests_per_10_minutes=1_000_000,
            requests_per_minute=0,
            rich_notifications=self.rich,
        )
        built = await self._life.enter_async_context(
            gateway(settings, clock=clock, http=http, login_http=login_http, post=self.post)
        )
        self._to_gateway.gateway = built
        await built.recover()
        await built.keeper.recover()

    async def stop(self) -> None:
        """Nobody is there any more."""
        self._to_gateway.gateway = None
        await self._life.aclose()

    async def connect(self) -> None:
        """What an admin does once."""
        account = await self.gateway.store.write(ensure_account, now=self.clock.now())
        self._account_id = account.id
        configuration = AccountConfiguration(
            tenant_id=self.school.tenant_id,
            client_id=self.school.client_id,
            client_secret=self.school.client_secret,
            secret_expires_at=self.school.secret_expires_at,
            cloud="global",
            time_zone="Pacific/Auckland",
        )
        await self.gateway.setup.configure_account(account.id, configuration)
        for address in self.school.mailboxes:
            await self.gateway.setup.add_mailbox(account.id, address)
            await self.gateway.setup.validate_mailbox(account.id, address)

    async def step(self, duration: timedelta, *, dies_after: int | None = None) -> None:
        """Let time pass, Graph say what it has to say, and the gateway do what is due.

        With `dies_after`, it dies at that call of Graph, if it gets so far, and starts anew.
        """
        self.clock.advance(duration)
        await self.sandbox.settle()
        self.to_graph.dies_at = None if dies_after is None else self.to_graph.calls + dies_after
        await first_of(self._work(), self.to_graph.death.wait())
        self.to_graph.dies_at = None
        if self.to_graph.death.is_set():
            self.to_graph.death.clear()
            self.deaths += 1
            await self.stop()
            await self.start()

    async def _work(self) -> None:
        """One round of each loop that `Gateway.work` keeps going."""
        built = self.gateway
        await built.keeper.run_due()
        await built.outbox.run_due()
        await built.openings.run_waiting()
        await built.puller.run_due()
        await built.budgets.keep()
        await built.mark.keep()


def login_client(sandbox: Sandbox, to_graph: ToGraph) -> httpx.Client:
    """A blocking client of the sandbox's Entra; tokens are fetched on a thread of their own, with its own loop."""

    async def ask(request: httpx.Request) -> httpx.Response:
        if to_graph.is_down:
            raise httpx.ConnectError("no route to host", request=request)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as http:
            answer = await http.request(request.method, request.url, headers=request.headers, content=request.content)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return httpx.Client(transport=httpx.MockTransport(lambda request: asyncio.run(ask(request))))


@asynccontextmanager
async def site(folder: Path, *, seed: int, rich: bool = False, post: Post | None = None) -> AsyncIterator[Site]:
    """A connected school whose students are silent until told otherwise. `rich`: with rich notifications.

    `post` takes what is pushed to webhooks.
    """
    clock, to_gateway = FakeClock(), ToGateway()
    behaviour = replace(Behaviour.at_once(), token_lifetime=TOKENS_LIVE)
    async with httpx.AsyncClient(transport=to_gateway) as http:
        sandbox = Sandbox(clock=clock, http=http, behaviour=behaviour, seed=seed)
        to_graph = ToGraph(sandbox)
        built = Site(
            folder=folder, clock=clock, sandbox=sandbox, to_graph=to_graph, to_gateway=to_gateway, rich=rich, post=post
        )
        async with sandbox.running():
            await built.start()
            try:
                await built.connect()
                yield built
            finally:
                await built.stop()


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"the gateway logged: {self.format(record)}")


@contextmanager
def listening_for_cries() -> Iterator[list[str]]:
    """Whatever is logged as an error meanwhile: it met something that nobody foresaw. The rest goes nowhere."""
    ear, root = _Ear(), logging.getLogger()
    root.addHandler(ear)
    try:
        yield ear.heard
    finally:
        root.removeHandler(ear)
