"""Replies: from the notification to the reply that can be read, and how fast a burst of them is taken in.

The sandbox brings replies to letters that the gateway takes for its own (no letter is sent), and notes when each of its
notifications leaves. The client hears of a reply on `/v1/events/stream`; what that tells of can be read.

First replies one at a time, each when the one before has been heard of. The gateway's own share is the time from the
moment at which the notification leaves until the reply is heard of, without the time in which a call to Graph was under
way. Then a burst, all at once: from the first notification until the last of them is heard of. Its yardstick, after
each burst, is a bare loop that reads the same replies from the same sandbox and keeps nothing.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import figures, tables
from tests.bench.backfill import ordered, reader
from tests.bench.benchmark import ROUNDS, Benchmark, Option, Tell, silent
from tests.bench.figures import Figures
from tests.bench.gateway_server import Asked, calls_per_letter, plan_for
from tests.bench.host import REPLIED, Ear, connected, hearing
from tests.bench.machine import places
from tests.bench.mailbox_server import MailboxPlan
from tests.bench.numbers import Latency, Spread, length_of_union, within
from tests.bench.processes import Broken, Child

WARM_UP: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A reply: when its mail was there, and when the client heard of it."""

    came_at: float
    heard_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Many at once: when their mail was there, and when the client had heard of the last."""

    came_at: float
    heard_at: float
    replies: int
    bare_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """Singles: `visible` from the notification on, of that `own` and `calling`. Bursts: so many in each of `rounds`.

    Calls are for one reply, by method and route; a batch counts as one. `peak_mb` is the gateway's memory (None: not
    known).
    """

    singles: int
    visible: Latency
    own: Latency
    calling: Latency
    calls_alone: Mapping[str, float]
    burst: int
    rounds: int
    per_second: Spread
    of_bare_loop: Spread
    calls_in_bursts: Mapping[str, float]
    peak_mb: float | None


def measure(*, replies: int = 200, burst: int = 500, rounds: int = 5, tell: Tell = silent) -> Replies:
    """Run it all. Raises `Broken` when a reply is not heard of."""
    letters = WARM_UP + replies + burst * rounds
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        Child("tests.bench.mailbox_server", MailboxPlan(letters=letters, processor=places().client)) as sandbox,
    ):
        microsoft = sandbox.heard()
        plan = plan_for(microsoft, Path(folder), mailboxes=[microsoft["mailbox"]], letters=microsoft["letters"])
        with (
            Child("tests.bench.gateway_server", plan) as server,
            Child("tests.bench.bare_reading", reader(microsoft)) as bare,
        ):
            ready = server.heard()
            bare.heard()
            alone, bursts = asyncio.run(_take_part(ready, sandbox, bare, replies, burst, rounds, tell))
            peak_mb = server.memory_mb("VmHWM")
            server.ask_to_stop()
            asked = [Asked(**one) for one in server.heard()["asked"]]
        sandbox.ask_to_stop()
        notified = [float(at) for at in sandbox.heard()["at"]]
    return counted(alone, bursts, asked, notified, peak_mb)


async def _take_part(
    ready: Mapping[str, Any], sandbox: Child, bare: Child, replies: int, burst: int, rounds: int, tell: Tell
) -> tuple[list[Heard], list[Burst]]:
    threads = iter(ready["threads"])
    async with connected(ready["url"], ready["key"]) as client, hearing(client) as ear:
        tell(0, rounds + 1, "one at a time")
        for _ in range(WARM_UP):
            await _one(ear, sandbox, next(threads))
        alone = [await _one(ear, sandbox, next(threads)) for _ in range(replies)]
        await asyncio.to_thread(ordered, bare)
        bursts = []
        for number in range(rounds):
            tell(number + 1, rounds + 1, f"burst {number + 1}")
            bursts.append(await _many(ear, sandbox, bare, [next(threads) for _ in range(burst)]))
    return alone, bursts


async def _one(ear: Ear, sandbox: Child, thread_id: str) -> Heard:
    sandbox.tell({"strange": 0, "ours": 1})
    came_at = float(await asyncio.to_thread(sandbox.heard))
    return Heard(came_at=came_at, heard_at=await ear.when(REPLIED, thread_id))


async def _many(ear: Ear, sandbox: Child, bare: Child, thread_ids: Sequence[str]) -> Burst:
    sandbox.tell({"strange": 0, "ours": len(thread_ids)})
    came_at = float(await asyncio.to_thread(sandbox.heard))
    heard = [await ear.when(REPLIED, thread_id) for thread_id in thread_ids]
    read = await asyncio.to_thread(ordered, bare)
    if read["whole"] != len(thread_ids):
        raise Broken(f"the bare loop has read {read['whole']} of {len(thread_ids)} replies")
    return Burst(
        came_at=came_at,
        heard_at=max(heard),
        replies=len(thread_ids),
        bare_per_second=read["messages"] / read["seconds"],
    )


def counted(
    alone: Sequence[Heard],
    bursts: Sequence[Burst],
    asked: Sequence[Asked],
    notified: Sequence[float],
    peak_mb: float | None,
) -> Replies:
    """From what the three noted."""
    spans = [(left_at(notified, one.came_at), one.heard_at) for one in alone]
    calling = [length_of_union(within([(one.began, one.ended) for one in asked], *span)) for span in spans]
    paces = [one.replies / (one.heard_at - left_at(notified, one.came_at)) for one in bursts]
    return Replies(
        singles=len(alone),
        visible=Latency.of([end - begin for begin, end in spans]),
        own=Latency.of([end - begin - calls for (begin, end), calls in zip(spans, calling, strict=True)]),
        calling=Latency.of(calling),
        calls_alone=calls_per_letter(
            [one for one in asked if spans[0][0] <= one.began <= bursts[0].came_at], letters=len(alone)
        ),
        burst=bursts[0].replies,
        rounds=len(bursts),
        per_second=Spread.of(paces),
        of_bare_loop=Spread.of([pace / one.bare_per_second for pace, one in zip(paces, bursts, strict=True)]),
        calls_in_bursts=calls_per_letter(
            [one for one in asked if one.began >= bursts[0].came_at], letters=sum(one.replies for one in bursts)
        ),
        peak_mb=peak_mb,
    )


def left_at(notified: Sequence[float], came_at: float) -> float:
    """When the notification of mail that came then left. Raises `Broken` when none did."""
    for at in notified:
        if at >= came_at:
            return at
    raise Broken("no notification left")


def show(found: Replies, console: Console) -> None:
    """As a table."""
    headings = ("what", "replies", "p50 ms", "p99 ms", "worst ms")
    table = tables.with_headings(f"{found.singles} replies, one at a time", headings, left=("what",))
    parts = {
        "notification sent → reply can be read": found.visible,
        "  of that: the gateway's own": found.own,
        "  in calls to Graph": found.calling,
    }
    for what, latency in parts.items():
        table.add_row(what, str(latency.count), *tables.milliseconds(latency))
    console.print(table)
    memory = "" if found.peak_mb is None else f"\nMemory: {found.peak_mb:.0f} MB at most"
    console.print(
        f"Calls to Graph for a reply that comes alone: {tables.calls(found.calls_alone)}\n"
        f"{found.rounds} bursts of {found.burst} replies: {tables.spread(found.per_second, ',.0f')} taken in per "
        f"second, {tables.spread(found.of_bare_loop, '.2f')} of a bare loop that reads them; "
        f"calls for a reply: {tables.calls(found.calls_in_bursts)}{memory}",
        highlight=False,
    )


def in_short(found: Replies) -> Figures:
    """Alone, and in bursts."""
    return {
        **figures.latencies("notification → visible", found.visible),
        **figures.latencies("the gateway's own share", found.own),
        "calls for a reply, alone": figures.calls(found.calls_alone),
        "calls for a reply, in bursts": figures.calls(found.calls_in_bursts),
        "bursts, per second": figures.per_second(found.per_second),
        "bursts, of bare loop": figures.times(found.of_bare_loop),
        **({} if found.peak_mb is None else {"memory at most": figures.megabytes(found.peak_mb)}),
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return 3 + 0.03 * given["replies"] + given["rounds"] * (1 + 0.005 * given["burst"])


BENCHMARK: Final = Benchmark(
    name="replies",
    about="replies: notification sent → can be read; a burst of them, against a bare loop that reads the same",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={
        "replies": Option(flag="replies", type=int, help="one at a time"),
        "burst": Option(flag="reply-burst", type=int, help="replies at once"),
        "rounds": ROUNDS,
    },
    quick={"replies": 20, "burst": 100, "rounds": 2},
)
