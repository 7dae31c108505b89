"""What the audit log costs: one request after the other, within one process, with the log and without it.

`none`        nothing is recorded: the yardstick
`known`       as the gateway does it, and what is read was read within the hour
`gathered`    as the gateway does it, and each reading is new to the log: it waits for the next of the commits that come
              once a second
`committed`   each reading is on disk before it is answered: what the gateway does not do
`recorded`    of letters: the record is a row more in the transaction that takes the letter

No client and no socket take part: the ratio would be nearer to 1 with them. Each round has all doors, forwards in one
and backwards in the next; a ratio compares two doors of one round.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette

from gateway.clock import SystemClock
from gateway.demo import make_key
from gateway.http.app import OPERATIONS
from gateway.http.auditing import Trail, unaudited
from gateway.http.door import Door as GraphsDoor
from gateway.http.routing import routes_of
from gateway.http.services import Services
from gateway.main import gateway
from gateway.pace import Pace
from gateway.running import Gateway
from gateway.settings import Settings
from gateway.threads.attachments import AttachmentReader
from gateway.threads.linking import Linking
from storage import Store, mailboxes
from storage.audit import Entry
from subscriptions.receiver import Receiver
from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, Benchmark, Option, Tell, a_round, each, silent
from tests.bench.figures import Better, Figures
from tests.bench.numbers import Spread
from tests.bench.processes import Broken

MAILBOX: Final = "admissions@school.example"


class Door(StrEnum):
    """See above."""

    NONE = "none"
    KNOWN = "known"
    GATHERED = "gathered"
    COMMITTED = "committed"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """`of_none`: how many times as long a request takes as without the log."""

    request: str
    door: Door
    milliseconds: Spread
    of_none: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditing:
    """`recorded` is how many rows the log had at the end, and as many as were due."""

    rounds: int
    requests: int
    rows: Sequence[Cost]
    recorded: int


class Forgetful(Trail):
    """Takes each reading for new."""

    async def read(self, entry: Entry) -> None:
        """As if an hour had gone by."""
        self._known.clear()
        await super().read(entry)


class Committed(Trail):
    """Writes before it answers."""

    async def read(self, entry: Entry) -> None:
        """At once."""
        await self.did(entry)


TRAILS: Final[dict[Door, Callable[[Store, SystemClock], Trail]]] = {
    Door.GATHERED: Forgetful,
    Door.COMMITTED: Committed,
}
DOORS: Final = {
    "GET /v1/threads/{id}": (Door.NONE, Door.KNOWN, Door.GATHERED, Door.COMMITTED),
    "POST /v1/messages": (Door.NONE, Door.RECORDED),
}


def measure(*, requests: int = 300, rounds: int = 5, tell: Tell = silent) -> Auditing:
    """Run it all. Raises `Broken` when an answer was wrong, or a record missing."""
    return asyncio.run(_measure(requests, rounds, tell))


async def _measure(requests: int, rounds: int, tell: Tell) -> Auditing:
    took: dict[tuple[str, Door], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder:
        async with gateway(Settings(database=Path(folder) / "gateway.db")) as built:
            bench = await _Bench.of(built)
            await bench.thread()
            for number in each(tell, range(rounds), a_round):
                for what, doors in DOORS.items():
                    for door in doors if number % 2 == 0 else doors[::-1]:
                        took.setdefault((what, door), []).append(await bench.take(what, door, requests))
            recorded = await built.store.read(lambda tx: tx.execute("SELECT count(*) FROM audit").fetchone()[0])
    # Of each round: every reading that is new, every one that is committed, and the letters; known is one row in all.
    if recorded < rounds * requests * 3:
        raise Broken(f"{recorded} rows in the log, and {rounds * requests * 3} were due")
    rows = [_cost(what, door, took) for what, door in took]
    return Auditing(rounds=rounds, requests=requests, rows=rows, recorded=recorded)


def _cost(what: str, door: Door, took: dict[tuple[str, Door], list[float]]) -> Cost:
    mine, none = took[what, door], took[what, Door.NONE]
    return Cost(
        request=what,
        door=door,
        milliseconds=Spread.of([one * 1000 for one in mine]),
        of_none=Spread.of([one / other for one, other in zip(mine, none, strict=True)]),
    )


@dataclass(slots=True, kw_only=True)
class _Bench:
    built: Gateway
    key: str
    thread_id: str = ""

    @classmethod
    async def of(cls, built: Gateway) -> "_Bench":
        key, value = await make_key(built)
        now = built.clock.now()

        def validated(tx: Any) -> None:
            mailbox = mailboxes.add(tx, key.account_id, MAILBOX, now=now)
            mailboxes.mark_validated(tx, mailbox.id, user_id="u", display_name=None, now=now)

        await built.store.write(validated)
        return cls(built=built, key=value)

    async def thread(self) -> None:
        """A letter whose thread is read."""
        answer = await _ask(
            self._app(Door.NONE, self._trail(Door.NONE)),
            "POST",
            "/v1/messages",
            self.key,
            _letter(self.built.clock.now()),
        )
        self.thread_id = orjson.loads(answer)["thread_id"]

    async def take(self, what: str, door: Door, requests: int) -> float:
        """The median of so many requests, in seconds."""
        trail = self._trail(door)
        app = self._app(door, trail)
        body = _letter(self.built.clock.now()) if what.startswith("POST") else None
        path = "/v1/messages" if body is not None else f"/v1/threads/{self.thread_id}"
        method, durations, flushed = what.partition(" ")[0], [], time.perf_counter()
        for _ in range(requests):
            began = time.perf_counter()
            await _ask(app, method, path, self.key, body)
            durations.append(time.perf_counter() - began)
            if began - flushed > 1:
                await trail.flush()
                flushed = began
        await trail.flush()
        return statistics.median(durations)

    def _trail(self, door: Door) -> Trail:
        return TRAILS.get(door, Trail)(self.built.store, SystemClock())

    def _app(self, door: Door, trail: Trail) -> Starlette:
        built, silent = self.built, unaudited("This is the yardstick.")
        services = Services(
            store=built.store,
            clock=built.clock,
            settings=Settings(),
            linking=Linking(built.store, built.connections, built.clock),
            receiver=Receiver(built.store, built.clock),
            attachments=AttachmentReader(built.store, built.connections),
            door=GraphsDoor(Pace()),
            trail=trail,
            privacy=built.privacy,
            setup=built.setup,
            webhooks=built.webhooks,
            readiness=built.health,
            session_key=built.session_key,
            stopping=built.stopping,
        )
        operations = [replace(one, audit=silent) for one in OPERATIONS] if door is Door.NONE else OPERATIONS
        return Starlette(routes=routes_of(operations, services))


def _letter(now: datetime) -> bytes:
    return orjson.dumps(
        {
            "from": MAILBOX,
            "to": [{"name": "Aroha Ngata", "address": "aroha@student.example"}],
            "subject": "Your enrolment",
            "html": "<p>Kia ora</p>" * 100,
            "objects": [{"type": "student", "id": "S1001"}],
            "created_by": "Jane Doe",
            "send_at": (now + timedelta(days=1)).isoformat(),
        }
    )


async def _ask(app: Callable[..., Awaitable[None]], method: str, path: str, key: str, body: bytes | None) -> bytes:
    """The body of the answer. Raises `Broken` when it is no good one."""
    sent: list[dict[str, Any]] = []
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "client": ("192.0.2.7", 1), "server": ("gateway", 80), "scheme": "http"}
    scope |= {"http_version": "1.1", "root_path": ""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not 200 <= sent[0]["status"] < 300:
        raise Broken(f"{method} {path} was answered with {sent[0]['status']}")
    return b"".join(one.get("body", b"") for one in sent[1:])


def show(found: Auditing, console: Console) -> None:
    """As a table."""
    table = Table("request", "audit log", "median ms", "× without it", title=f"{found.requests} requests a round")
    for row in found.rows:
        took, ratio = tables.spread(row.milliseconds, ".2f"), tables.spread(row.of_none, ".2f")
        table.add_row(row.request, row.door, took, ratio)
    console.print(table)


def in_short(found: Auditing) -> Figures:
    """Of what the gateway does."""
    ours = [row for row in found.rows if row.door not in (Door.NONE, Door.COMMITTED)]
    return {f"{row.request}, {row.door}: of no log": figures.times(row.of_none, Better.LOWER) for row in ours}


def _lasts(given: Mapping[str, Any]) -> float:
    return 1 + given["rounds"] * given["requests"] * 0.015


BENCHMARK: Final = Benchmark(
    name="auditing",
    about="the audit log: what a request costs with it; against the same without",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"requests": Option(flag="requests", type=int, help="one at a time"), "rounds": ROUNDS},
    quick={"requests": 50, "rounds": 1},
)
