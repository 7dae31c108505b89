"""The yardsticks of sending: what makes the same calls with the same bodies and remembers nothing, or next to nothing.

`bare loop`      what one writes first: httpx, as many letters at once as the gateway has, create the draft, send it
`keeping loop`   the same, and before, between and after its calls a word on disk about the letter, by the gateway's
                 own store, as the gateway has it. No events, no thread, no budget, no Sent copy
`ceiling`        the same calls by nothing but sockets, as fast as the server answers them

All make each letter's draft and send it once it is there; anything but 201 and then 202 ends the process.
"""

import asyncio
import itertools
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import quote, urlsplit

import httpx
import orjson
import uvloop

from gateway.sending.worker import CONCURRENCY, PER_MAILBOX
from storage import Store, Transaction, open_store
from tests.bench.host import letter
from tests.bench.load import is_whole
from tests.bench.machine import stay_on
from tests.bench.processes import plan_from_stdin, say

AT_ONCE: Final = CONCURRENCY  # as the gateway's worker: letters in hand …
OF_A_MAILBOX: Final = PER_MAILBOX  # … and of one mailbox
CONNECTIONS: Final = 16
TAG: Final = "String {7d0b5a52-9a3c-4a0e-9f0e-3d1c2b7e5a41} Name SelmaSendUid"
SCOPE: Final = "https://graph.microsoft.com/.default"


class Sender(StrEnum):
    """Who sends: the gateway, or one of the above."""

    GATEWAY = "gateway"
    BARE_LOOP = "bare loop"
    KEEPING_LOOP = "keeping loop"
    CEILING = "ceiling"


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderPlan:
    """`sender` is the value of a `Sender`. The letters go from all mailboxes to all students in turn."""

    sender: str
    url: str
    tenant_id: str
    client_id: str
    client_secret: str
    mailboxes: Sequence[str]
    students: Sequence[Mapping[str, str]]
    first: int
    warm_up: int
    letters: int
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """How long the letters took after the warm-up, and how long the process was computing meanwhile."""

    seconds: float
    processor_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A letter for Graph."""

    mailbox: str
    draft: bytes


def draft(posted: Mapping[str, Any]) -> bytes:
    """What the gateway makes of a posted letter."""
    return orjson.dumps(
        {
            "subject": posted["subject"],
            "body": {"contentType": "html", "content": posted["html"]},
            "toRecipients": [{"emailAddress": one} for one in posted["to"]],
            "ccRecipients": [],
            "bccRecipients": [],
            "replyTo": [],
            "importance": "normal",
            "singleValueExtendedProperties": [{"id": TAG, "value": str(uuid.uuid4())}],
        }
    )


def outgoing(plan: SenderPlan, numbers: Sequence[int]) -> list[Outgoing]:
    """The letters with these numbers."""
    mailboxes, students = itertools.cycle(plan.mailboxes), itertools.cycle(plan.students)
    return [
        Outgoing(mailbox=mailbox, draft=draft(letter(number, mailbox=mailbox, student=student)))
        for number, mailbox, student in zip(numbers, mailboxes, students, strict=False)
    ]


def headers(token: str) -> dict[str, str]:
    """As the gateway's client sends them."""
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "User-Agent": "bench",
        "Prefer": 'IdType="ImmutableId"',
    }


def drafts_path(one: Outgoing) -> str:
    return f"/v1.0/users/{one.mailbox}/messages"


def send_path(one: Outgoing, message_id: str) -> str:
    return f"{drafts_path(one)}/{quote(message_id, safe='')}/send"


class BareLoop:
    """A few letters of each mailbox at once, by httpx."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._in_hand = asyncio.Semaphore(AT_ONCE)

    async def send(self, letters: Sequence[Outgoing]) -> None:
        """All of them."""
        by_mailbox = {one.mailbox: iter([each for each in letters if each.mailbox == one.mailbox]) for one in letters}
        async with asyncio.TaskGroup() as group:
            for left in by_mailbox.values():
                for _ in range(OF_A_MAILBOX):
                    group.create_task(self._send_each(left))

    async def _send_each(self, left: Iterator[Outgoing]) -> None:
        for one in left:
            async with self._in_hand:
                await self._send(one)

    async def _send(self, one: Outgoing) -> None:
        await self._submit(one, await self._make_draft(one))

    async def _make_draft(self, one: Outgoing) -> str:
        json = {"content-type": "application/json"}
        made = await self._http.post(drafts_path(one), content=one.draft, headers=json)
        _expect(httpx.codes.CREATED, made.status_code, made.content)
        return str(made.json()["id"])

    async def _submit(self, one: Outgoing, message_id: str) -> None:
        sent = await self._http.post(send_path(one, message_id))
        _expect(httpx.codes.ACCEPTED, sent.status_code, sent.content)


class KeepingLoop(BareLoop):
    """The same, which knows after its death what it may send again."""

    def __init__(self, http: httpx.AsyncClient, store: Store) -> None:
        super().__init__(http)
        self._store = store
        self._number = itertools.count()

    async def _send(self, one: Outgoing) -> None:
        number = next(self._number)
        await self._store.write(keep, number, one.mailbox, "drafting")
        message_id = await self._make_draft(one)
        await self._store.write(keep, number, message_id, "submitting")
        await self._submit(one, message_id)
        await self._store.write(keep, number, message_id, "submitted")


def keep(tx: Transaction, number: int, what: str, state: str) -> None:
    """A row of its own for each letter."""
    tx.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (number, what, state))


@asynccontextmanager
async def keeping_store() -> AsyncIterator[Store]:
    """With a table for letters, and nothing in it."""
    with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder:
        async with open_store(Path(folder) / "kept.db") as store:
            await store.write(lambda tx: tx.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY, what, state)"))
            yield store


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._came = b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    async def ask(self, head: bytes, body: bytes, expected: int) -> bytes:
        """The body of the answer."""
        self._came, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport.write(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        answer = await self._answer
        _expect(expected, int(answer[9:12]), answer)
        return answer.partition(b"\r\n\r\n")[2]

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self._answer is not None and is_whole(self._came):
            self._answer.set_result(self._came)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server has hung up"))


class Ceiling:
    """As many letters at once as there are connections, whoever sends them."""

    def __init__(self, lines: Sequence[Line], host: str, token: str) -> None:
        self._lines = lines
        common = {"Host": host, "Content-Type": "application/json", **headers(token)}
        self._common = "".join(f"{name}: {value}\r\n" for name, value in common.items())

    async def send(self, letters: Sequence[Outgoing]) -> None:
        """All of them."""
        left = iter(letters)
        async with asyncio.TaskGroup() as group:
            for line in self._lines:
                group.create_task(self._send_each(line, left))

    async def _send_each(self, line: Line, left: Iterator[Outgoing]) -> None:
        for one in left:
            made = await line.ask(self._head(drafts_path(one)), one.draft, httpx.codes.CREATED)
            await line.ask(self._head(send_path(one, orjson.loads(made)["id"])), b"", httpx.codes.ACCEPTED)

    def _head(self, path: str) -> bytes:
        return f"POST {path} HTTP/1.1\r\n{self._common}".encode()


class App(Protocol):
    """What Entra knows a sender by."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def client_id(self) -> str: ...

    @property
    def client_secret(self) -> str: ...


async def token_for(plan: App, http: httpx.AsyncClient) -> str:
    """From the server's token endpoint."""
    form = {
        "grant_type": "client_credentials",
        "client_id": plan.client_id,
        "client_secret": plan.client_secret,
        "scope": SCOPE,
    }
    answer = await http.post(f"/{plan.tenant_id}/oauth2/v2.0/token", data=form)
    _expect(httpx.codes.OK, answer.status_code, answer.content)
    return str(answer.json()["access_token"])


async def run(plan: SenderPlan) -> SenderReport:
    """Carry the plan out."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=50)
    client = httpx.AsyncClient(base_url=plan.url, limits=limits, timeout=30, trust_env=False)
    async with client as http, _sender(plan, http) as sender:
        await sender.send(outgoing(plan, range(plan.first, plan.first + plan.warm_up)))
        letters = outgoing(plan, range(plan.first + plan.warm_up, plan.first + plan.warm_up + plan.letters))
        worked, began = time.process_time(), time.perf_counter()
        await sender.send(letters)
        return SenderReport(seconds=time.perf_counter() - began, processor_s=time.process_time() - worked)


@asynccontextmanager
async def _sender(plan: SenderPlan, http: httpx.AsyncClient) -> AsyncIterator[BareLoop | Ceiling]:
    token = await token_for(plan, http)
    http.headers = httpx.Headers(headers(token))
    if plan.sender == Sender.CEILING:
        yield await _ceiling(plan.url, token)
    elif plan.sender == Sender.KEEPING_LOOP:
        async with keeping_store() as store:
            yield KeepingLoop(http, store)
    else:
        yield BareLoop(http)


async def _ceiling(url: str, token: str) -> Ceiling:
    place, loop = urlsplit(url), asyncio.get_running_loop()
    lines = [(await loop.create_connection(Line, place.hostname, place.port))[1] for _ in range(CONNECTIONS)]
    return Ceiling(lines, place.netloc, token)


def _expect(expected: int, status: int, answer: bytes) -> None:
    if status != expected:
        raise RuntimeError(f"{status} instead of {expected}: {answer[:500]!r}")


if __name__ == "__main__":
    the_plan = SenderPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    say(uvloop.run(run(the_plan)))
