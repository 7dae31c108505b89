"""Plain notifications take the short way, and nobody can tell: answers, rows and numbers are those of the long one."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import Scope

from gateway.direct import Answer
from gateway.http.deadline import Deadline
from gateway.http.line import AT_ONCE
from gateway.http.short_way import NotificationsShortWay
from gateway.main import gateway
from gateway.running import Gateway
from gateway.serving import listen, server_for
from gateway.settings import Settings
from gateway.tracing import recording
from storage import Transaction
from tests.bench.door_server import CLIENT_STATE, SUBSCRIPTION, TENANT, watched_inbox
from tests.http.shape import assert_problem

DOOR = "/graph/notifications"
ITEM = {
    "subscriptionId": SUBSCRIPTION,
    "changeType": "created",
    "resourceData": {"id": "AAMk1"},
    "clientState": CLIENT_STATE,
    "tenantId": TENANT,
}
WARM = ITEM | {"resourceData": {"id": "AAMk0"}}


def body(*items: Any) -> bytes:
    return orjson.dumps({"value": list(items)})


def change(message_id: str, **changed: Any) -> dict[str, Any]:
    return ITEM | {"resourceData": {"id": message_id}} | changed


@dataclass
class Seen:
    """The gateway's own short way, and what it took."""

    way: NotificationsShortWay
    taken: list[bool] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def is_for(self, scope: Scope) -> bool:
        return self.way.is_for(scope)

    def take(self, scope: Scope, body: bytes, answer: Answer) -> bool:
        self.taken.append(self.way.take(scope, body, answer))
        self.came.set()
        return self.taken[-1]


@dataclass
class Site:
    """A gateway that is asked both ways: `short` over a socket, `long` straight into its application."""

    built: Gateway
    seen: Seen
    address: tuple[str, int]
    client: httpx.AsyncClient
    file: Path

    async def long(self, content: bytes, path: str = DOOR) -> httpx.Response:
        """Past the server."""
        return await self.client.post(path, content=content)

    async def short(self, content: bytes, path: str = DOOR, **headers: str) -> httpx.Response:
        """Written in one piece, which no client of ours promises."""
        reader, writer = await asyncio.open_connection(*self.address)
        request = httpx.Request(
            "POST",
            f"http://gateway.example{path}",
            content=content,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        lines = b"".join(b"%b: %b\r\n" % header for header in request.headers.raw)
        writer.write(b"POST %b HTTP/1.1\r\n%b\r\n%b" % (path.encode(), lines, content))
        try:
            async with asyncio.timeout(20):
                head = (await reader.readuntil(b"\r\n\r\n")).splitlines()
                told = httpx.Headers([tuple(line.split(b": ", 1)) for line in head[1:-1]])
                answer = await reader.readexactly(int(told["content-length"]))
        finally:
            writer.transport.abort()
        return httpx.Response(int(head[0].split()[1]), headers=told, content=answer)

    def rows(self) -> list[tuple[Any, ...]]:
        """What is on disk of hints, without its times and its trace."""
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute("SELECT change_type, message_id, length(traceparent) FROM hints").fetchall()

    def numbers(self) -> list[tuple[str, float]]:
        """What the door has counted, apart from how long it took."""
        return [
            (sample.name + "".join(sample.labels.values()), sample.value)
            for collector in self.seen.way.services.door.collectors
            for metric in collector.collect()
            for sample in metric.samples
            if not sample.name.endswith(("_sum", "_bucket", "_created"))
        ]


@asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[Site]:
    file = folder / "gateway.db"
    async with gateway(Settings(database=file, **settings)) as built:
        await built.store.write(watched_inbox, built.clock.now())
        built.app.state.short_way = seen = Seen(built.app.state.short_way)
        server = server_for(built.app)
        with listen("127.0.0.1", 0) as listener:
            transport = httpx.ASGITransport(built.app)
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[listener]))
                async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client:
                    site = Site(built, seen, listener.getsockname(), client, file)
                    await site.long(body(WARM))  # now it knows the subscriptions
                    yield site
                server.should_exit = True


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(tmp_path / "one") as site:
        yield site


PLAIN = {
    "one": body(ITEM),
    "many": body(*(change(f"AAMk{number}") for number in range(20))),
    "the same twice": body(ITEM, ITEM),
    "of all kinds": body(change("a", changeType="Updated"), change("b", changeType="deleted")),
    "without a tenant": body(change("a", tenantId=None)),
}
OTHERS = {
    "a secret that is not ours": body(change("a", clientState="guessed")),
    "a stranger's subscription": body(change("a", subscriptionId="theirs")),
    "another tenant": body(change("a", tenantId="00000000-6d4d-4958-8b9f-9d6445542f95")),
    "one good, one forged": body(ITEM, change("a", clientState="guessed")),
    "a lifecycle event": body({**ITEM, "lifecycleEvent": "missed"}),
    "no message is named": body({**ITEM, "resourceData": None}),
    "an item that is none": body(ITEM, 7),
    "nothing at all": body(),
    "no JSON": b"{",
    "no collection": b"[]",
    "more than Graph sends": b" " * 300_000,
}


async def test_either_way_it_is_answered_kept_and_counted_alike(tmp_path: Path) -> None:
    async with opened(tmp_path / "short") as short, opened(tmp_path / "long") as long:
        for name, content in {**PLAIN, **OTHERS}.items():
            for path in (DOOR, "/graph/lifecycle"):
                one, other = await short.short(content, path), await long.long(content, path)
                assert told(one) == told(other), name
                assert len(one.headers["x-request-id"]) == len(other.headers["x-request-id"]) == 32
                assert short.rows() == long.rows(), name
                assert short.numbers() == long.numbers(), name
        assert short.seen.taken[: 2 * len(PLAIN)] == [True] * 2 * len(PLAIN)
        assert not any(short.seen.taken[2 * len(PLAIN) :])
        assert len(short.rows()) > 40


def told(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    own = answer.headers["x-request-id"].encode()
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    return answer.status_code, headers, answer.content.replace(own, b"")


async def test_a_name_that_its_sender_gives_comes_back(site: Site) -> None:
    answer = await site.short(body(ITEM), x_request_id="of-graph.7")
    assert answer.headers["x-request-id"] == "of-graph.7"
    assert site.seen.taken == [True]


async def test_over_https_by_a_trusted_proxy_it_has_what_belongs_to_that(tmp_path: Path) -> None:
    settings = {"public_url": "https://mail.school.example", "trusted_proxies": (ip_network("127.0.0.1/32"),)}
    async with opened(tmp_path / "one", **settings) as site:
        for scheme, is_there in (("http", False), ("https", True)):
            answer = await site.short(body(ITEM), x_forwarded_proto=scheme)
            assert ("strict-transport-security" in answer.headers) is is_there
    assert site.seen.taken == [True, True]


async def test_what_cannot_be_kept_is_not_acknowledged(site: Site) -> None:
    await site.built.store.write(lambda tx: tx.execute("PRAGMA max_page_count = 1").close())
    assert_problem(
        await site.short(body(*(change("x" * 400 + str(number)) for number in range(40)))), 503, "unavailable"
    )
    assert site.seen.taken == [True]
    assert ("selma_gateway_notifications_refused_totalstore_unavailable", 1.0) in site.numbers()
    assert len(site.rows()) == 1


class Gate:
    """Holds the writer's thread."""

    def __init__(self) -> None:
        self.is_held, self.is_open = threading.Event(), threading.Event()

    def hold(self, tx: Transaction) -> None:
        self.is_held.set()
        self.is_open.wait(30)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.is_open.set()


async def test_what_takes_too_long_is_a_503_in_time_and_harms_nobody_when_it_is_kept_after_all(
    site: Site, gate: Gate
) -> None:
    site.seen.way.in_time = Deadline(0.05)
    async with asyncio.TaskGroup() as group:
        group.create_task(site.built.store.write(gate.hold))
        await asyncio.to_thread(gate.is_held.wait, 30)
        answer = await site.short(body(ITEM))
        gate.is_open.set()
    assert "in time" in assert_problem(answer, 503, "unavailable")["detail"]
    assert (await site.short(body(change("next")))).status_code == 202
    assert [row[1] for row in site.rows()] == ["AAMk0", "AAMk1", "next"]
    assert len(site.seen.way.in_time) == 0


async def test_who_comes_too_late_for_the_line_is_told_at_once(site: Site, gate: Gate) -> None:
    for _ in range(AT_ONCE - 1):
        site.seen.way.line.comes()
    async with asyncio.TaskGroup() as group:
        group.create_task(site.built.store.write(gate.hold))
        await asyncio.to_thread(gate.is_held.wait, 30)
        first = group.create_task(site.short(body(ITEM)))
        await site.seen.came.wait()
        for ask in (site.short, site.long):
            refused = await ask(body(ITEM))
            assert_problem(refused, 503, "unavailable")
            assert "retry-after" in refused.headers
        gate.is_open.set()
    assert first.result().status_code == 202
    assert (await site.short(body(ITEM))).status_code == 202


async def test_while_somebody_follows_traces_it_is_not_taken(site: Site) -> None:
    scope: Scope = {"type": "http", "method": "POST", "path": DOOR, "query_string": b"", "headers": []}
    assert site.seen.way.is_for(scope)
    assert not site.seen.way.is_for(scope | {"query_string": b"validationToken=abc"})
    assert not site.seen.way.is_for(scope | {"method": "GET"})
    with recording(object()):  # type: ignore[arg-type]
        assert not site.seen.way.is_for(scope)
