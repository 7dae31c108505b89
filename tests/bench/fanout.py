"""Events pushed to webhooks: how many a second, signed, in the order of their threads, each kept track of.

`bare`      a loop that signs and posts the same events to the same receivers with as many at once, and keeps nothing
`gateway`   the deliverer, from rows that wait to rows that were answered

The receiver answers 200 at once, on this machine, within the same process: what it costs, it costs both. A round has
both, forwards in one and backwards in the next. Every event must have come to every receiver, or there are no figures.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

import storage
from gateway.clock import SystemClock
from gateway.host.deliver import AT_ONCE, Deliverer
from gateway.host.post import Poster
from gateway.host.signing import body_of, headers_of
from gateway.host.targets import networks
from gateway.host.webhooks import HostWebhooks
from storage import Transaction, accounts, deliveries, events
from storage.events import Event
from storage.vault import MasterKey
from storage.webhooks import Webhook
from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, Benchmark, Option, Tell, each, silent
from tests.bench.figures import Figures
from tests.bench.numbers import Spread
from tests.bench.processes import Broken

RECEIVERS: Final = (1, 10)
HERE: Final = networks("127.0.0.0/8")
OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Sender(StrEnum):
    """See above."""

    BARE = "bare"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`per_second` counts events at receivers; `of_bare` is the gateway's rate over the bare loop's."""

    receivers: int
    sender: Sender
    per_second: Spread
    of_bare: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Fanout:
    """`received` is how many came in all, and as many as were due."""

    rounds: int
    events: int
    rows: Sequence[Row]
    received: int


def measure(*, count: int = 1000, rounds: int = 5, receivers: Sequence[int] = RECEIVERS, tell: Tell = silent) -> Fanout:
    """Run it all. Raises `Broken` when an event did not come to a receiver."""
    return asyncio.run(_measure(count, rounds, receivers, tell))


async def _measure(count: int, rounds: int, receivers: Sequence[int], tell: Tell) -> Fanout:
    rates: dict[tuple[int, Sender], list[float]] = {}
    received = 0
    steps = [
        (number, how_many, sender)
        for number in range(rounds)
        for how_many in receivers
        for sender in list(Sender)[:: 1 if number % 2 == 0 else -1]
    ]
    for _, how_many, sender in each(tell, steps, lambda step: f"round {step[0] + 1}: {step[2]} to {step[1]}"):
        with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder:
            took = await _round(Path(folder), sender, count, how_many)
        received += count * how_many
        rates.setdefault((how_many, sender), []).append(count * how_many / took)
    return Fanout(
        rounds=rounds,
        events=count,
        received=received,
        rows=[_row(*what, rates) for what in sorted(rates)],
    )


def _row(receivers: int, sender: Sender, rates: dict[tuple[int, Sender], list[float]]) -> Row:
    mine, bare = rates[receivers, sender], rates[receivers, Sender.BARE]
    return Row(
        receivers=receivers,
        sender=sender,
        per_second=Spread.of(mine),
        of_bare=Spread.of([one / other for one, other in zip(mine, bare, strict=True)]),
    )


class _Receiver:
    """Takes whatever is posted, and counts it by path and event."""

    def __init__(self) -> None:
        self.came: Counter[tuple[bytes, bytes]] = Counter()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.lower().split(b"\r\n")
                fields = dict(line.split(b": ", 1) for line in lines if b": " in line)
                await reader.readexactly(int(fields[b"content-length"]))
                self.came[first.split(b" ")[1], fields[b"webhook-id"]] += 1
                writer.write(OK)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has done
        finally:
            writer.close()


async def _round(folder: Path, sender: Sender, count: int, receivers: int) -> float:
    """Seconds from rows that wait to the last answer."""
    receiver, clock, key = _Receiver(), SystemClock(), MasterKey.new()
    server = await asyncio.start_server(receiver.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, storage.open_store(folder / "gateway.db") as store, aclosing(Poster(HERE)) as poster:
        account = await store.write(accounts.add, "SELMA", now=clock.now())
        hooks = [
            (
                await HostWebhooks(store, key, clock).add(
                    account.id, url=f"http://127.0.0.1:{port}/{number}", description=None, types=()
                )
            ).webhook
            for number in range(receivers)
        ]
        happened = await store.write(_happen, account.id, count, clock)
        began = time.perf_counter()
        if sender is Sender.GATEWAY:
            await Deliverer(store, poster, key, clock).run_due()
        else:
            await asyncio.gather(*(_bare(poster, hook, happened, key, clock) for hook in hooks))
        took = time.perf_counter() - began
        due = {(f"/{number}".encode(), f"evt_{one.seq}".encode()) for number in range(receivers) for one in happened}
        if receiver.came.keys() != due:
            raise Broken(f"{len(receiver.came)} events came, and {len(due)} were due")
        waiting = [await store.read(deliveries.waiting, hook.id) for hook in hooks]
        if sender is Sender.GATEWAY and any(one.count for one in waiting):
            raise Broken("an event came, and its row says that it still waits")
    return took


def _happen(tx: Transaction, account_id: str, count: int, clock: SystemClock) -> Sequence[Event]:
    """Without threads: those of one wait for each other, which says more of the receiver than of the gateway."""
    before = events.last_seq(tx, account_id)
    for number in range(count):
        events.record(tx, account_id, "reply.received", data={"number": number}, now=clock.now())
    return events.after(tx, account_id, before, limit=count)


async def _bare(poster: Poster, hook: Webhook, happened: Sequence[Event], key: MasterKey, clock: SystemClock) -> None:
    left = iter(happened)

    async def post() -> None:
        for event in left:
            now, body = clock.now(), body_of(event)
            await poster.post(hook.url, headers_of(event, body, hook.secrets(key, now), now), body)

    await asyncio.gather(*(post() for _ in range(AT_ONCE)))


def show(found: Fanout, console: Console) -> None:
    """As a table."""
    table = Table("webhooks", "sender", "events a second", "÷ bare loop", title=f"{found.events} events to each")
    for row in found.rows:
        pace, ratio = tables.spread(row.per_second, ",.0f"), tables.spread(row.of_bare, ".2f")
        table.add_row(str(row.receivers), row.sender, pace, ratio)
    console.print(table)
    console.print(f"  {found.received:,} of {found.received:,} came.", highlight=False)


def in_short(found: Fanout) -> Figures:
    """By number of webhooks."""
    ours = [row for row in found.rows if row.sender is Sender.GATEWAY]
    return {
        **{f"of bare loop, webhooks: {row.receivers}": figures.times(row.of_bare) for row in ours},
        **{f"per second, webhooks: {row.receivers}": figures.per_second(row.per_second) for row in ours},
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return given["rounds"] * sum(given["receivers"]) * given["count"] * 0.004


BENCHMARK: Final = Benchmark(
    name="fanout",
    about="events pushed to webhooks; against a loop that posts the same and keeps nothing",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"count": Option(flag="events", type=int, help="to be pushed"), "rounds": ROUNDS},
    quick={"count": 100, "rounds": 1},
)
