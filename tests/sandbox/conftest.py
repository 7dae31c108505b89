"""The scene: a small school in a sandbox that does everything at once, and an app that may do what ours may."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.sandbox import Behaviour, Sandbox, school
from gateway.sandbox.school import School

ORIGIN = "https://graph.microsoft.com"
TAG = "String {7d1f2a52-3a0b-4a55-9c7e-0d5f6f1f8a11} Name SendUid"


class ManualClock:
    """A clock whose hands the test moves; whoever sleeps wakes when they have passed."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []
        self._fell_asleep = asyncio.Condition()

    def now(self) -> datetime:
        return self._now

    async def sleep(self, duration: timedelta, /) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self._now + duration, woken))
        async with self._fell_asleep:
            self._fell_asleep.notify_all()
        await woken.wait()

    def waits(self) -> list[timedelta]:
        """How long those who sleep still have to wait."""
        return [due - self._now for due, _ in self._sleepers if due > self._now]

    async def asleep(self, count: int) -> None:
        """Return when so many sleep."""
        async with self._fell_asleep:
            await self._fell_asleep.wait_for(lambda: len(self.waits()) >= count)

    def advance(self, duration: timedelta) -> None:
        self._now += duration
        for due, woken in self._sleepers:
            if due <= self._now:
                woken.set()


@dataclass
class Receiver:
    """A subscriber: echoes handshakes, keeps what it is told, and answers as the test wants."""

    notifications: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    handshakes: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses for the next notification requests; 202 when they are used up."""
    echo: str | None = None
    """What to say in a handshake instead of the token."""
    handshake_status: int = 200
    handshake_type: str = "text/plain"

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        token = request.query_params.get("validationToken")
        if token is not None:
            self.handshakes.append(request.url.path)
            return PlainTextResponse(
                token if self.echo is None else self.echo, self.handshake_status, media_type=self.handshake_type
            )
        body = await request.json()
        self.requests.append(body)
        status = self.answers.pop(0) if self.answers else 202
        if status < 300:
            self.notifications += body["value"]
        return Response(status_code=status)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour.at_once()


@pytest.fixture
async def sandbox(clock: ManualClock, receiver: Receiver, behaviour: Behaviour) -> AsyncIterator[Sandbox]:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(receiver.app))
    sandbox = Sandbox(clock=clock, http=http, behaviour=behaviour)
    async with http, sandbox.running():
        yield sandbox


@pytest.fixture
def pupils(sandbox: Sandbox) -> School:
    return school.build(sandbox)


@pytest.fixture
async def anyone(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=ORIGIN) as client:
        yield client


async def token_for(client: httpx.AsyncClient, pupils: School) -> str:
    answer = await client.post(
        f"/{pupils.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": pupils.client_id,
            "client_secret": pupils.client_secret,
            "scope": "https://graph.microsoft.com/.default",
        },
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.fixture
async def graph(anyone: httpx.AsyncClient, pupils: School) -> httpx.AsyncClient:
    """A client with the school's app token; paths are below the origin."""
    anyone.headers["Authorization"] = f"Bearer {await token_for(anyone, pupils)}"
    return anyone


@pytest.fixture
def office() -> str:
    return "/v1.0/users/office@school.example"


def letter(
    to: str = "maia.parata@student.example", *, subject: str = "Your enrolment", tag: str | None = None
) -> dict[str, Any]:
    """A draft's JSON."""
    body: dict[str, Any] = {
        "subject": subject,
        "body": {"contentType": "HTML", "content": "<p>Kia ora</p>"},
        "toRecipients": [{"emailAddress": {"address": to}}],
    }
    if tag is not None:
        body["singleValueExtendedProperties"] = [{"id": TAG, "value": tag}]
    return body


def at(item_id: str) -> str:
    """An id as one path segment: it may hold slashes."""
    return quote(item_id, safe="")


async def draft_of(graph: httpx.AsyncClient, mailbox: str, **fields: Any) -> dict[str, Any]:
    """A new draft, as Graph answers it."""
    answer = await graph.post(f"{mailbox}/messages", json=letter(**fields))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def sent(sandbox: Sandbox, graph: httpx.AsyncClient, mailbox: str, **fields: Any) -> dict[str, Any]:
    """A letter that has gone out, and the mail settled; its draft as it was before."""
    draft = await draft_of(graph, mailbox, **fields)
    answer = await graph.post(f"{mailbox}/messages/{at(draft['id'])}/send")
    assert answer.status_code == 202, answer.text
    await sandbox.settle()
    return draft


def subscription_to(sandbox: Sandbox, folder: str = "inbox", **fields: Any) -> dict[str, Any]:
    """A subscription request to a folder of the office."""
    user_id = sandbox.world.mailbox("office@school.example").user.id
    expires = sandbox.clock.now() + timedelta(days=3)
    return {
        "changeType": "created,updated,deleted",
        "notificationUrl": "https://gateway.example/graph/notifications?account=1",
        "lifecycleNotificationUrl": "https://gateway.example/graph/lifecycle",
        "resource": f"users/{user_id}/mailFolders('{folder}')/messages",
        "expirationDateTime": expires.isoformat().replace("+00:00", "Z"),
        "clientState": "a secret",
        **fields,
    }


def tagged(value: str) -> str:
    """The filter that finds a tag."""
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{TAG}' and ep/value eq '{value}')"
