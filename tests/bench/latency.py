"""Letters: from accepted to recognised in Sent, and from accepted to the reply that can be read.

Gateway, sandbox and client are processes of their own on loopback; the sandbox has no delays but its work. The client
posts as SELMA does, by HTTP, and learns the rest from `/v1/events/stream`; a reply that the stream tells of can be
read. First letters one at a time, each posted when the one before has been answered; then a burst, posted at once.

The gateway's own share is what is left of accepted → reply when the time it waited for others is taken away: its calls
to Graph while the letter was sent, then all the time from the end of `/send` until the notification about the reply
came in (Microsoft and the student are at work), then its calls to Graph until the reply could be read. It includes
what the three processes take from each other on a machine with few processors, and does not include what the HTTP
client computes during a call.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from storage.folders import WellKnown
from tests.bench import figures, tables
from tests.bench.benchmark import Benchmark, Option, Tell, silent
from tests.bench.figures import Figures
from tests.bench.gateway_server import SEND_ROUTE, Asked, Told, calls_per_letter, plan_for
from tests.bench.host import REPLIED, SENT, Ear, Host, Posted, connected, hearing
from tests.bench.machine import places
from tests.bench.numbers import Latency, length_of_union, within
from tests.bench.processes import Child
from tests.bench.sandbox_server import SandboxPlan

WARM_UP: Final = 5
DELTA: Final = "/delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A letter and what came of it."""

    letter: Posted
    sent_at: float
    replied_at: float

    @property
    def to_reply(self) -> tuple[float, float]:
        """From accepted to the reply."""
        return self.letter.accepted_at, self.replied_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Of letters that were posted in one way. `accepting` is what the POST itself took."""

    accepting: Latency
    to_sent: Latency
    to_reply: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Where the time from accepted to the reply went, letter by letter; `own` is the gateway's."""

    own: Latency
    sending_calls: Latency
    microsoft: Latency
    reading_calls: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """`calls_per_letter` is by method and route, over singles and burst; a batch counts as one call.

    Memory is the gateway's: watching, before the first letter; and at most until the end. None: not known.
    """

    singles: Times
    shares: Shares
    burst: Times
    burst_accepted_s: float
    burst_sent_s: float
    burst_replied_s: float
    calls_per_letter: Mapping[str, float]
    posted: int
    answered: int
    idle_mb: float | None
    peak_mb: float | None


async def answered(ear: Ear, letter: Posted) -> Answered:
    """Wait until the letter has been sent and answered."""
    sent_at = await ear.when(SENT, letter.thread_id)
    replied_at = await ear.when(REPLIED, letter.thread_id)
    return Answered(letter=letter, sent_at=sent_at, replied_at=replied_at)


async def one_at_a_time(host: Host, ear: Ear, count: int) -> list[Answered]:
    """Each when the one before has been answered."""
    return [await answered(ear, await host.post()) for _ in range(count)]


async def at_once(host: Host, ear: Ear, count: int) -> list[Answered]:
    """As fast as a few connections can."""
    return [await answered(ear, letter) for letter in await host.post_many(count)]


def times(letters: Sequence[Answered]) -> Times:
    """Of letters that were posted in one way."""
    return Times(
        accepting=Latency.of([one.letter.accepted_at - one.letter.posted_at for one in letters]),
        to_sent=Latency.of([one.sent_at - one.letter.accepted_at for one in letters]),
        to_reply=Latency.of([end - begin for begin, end in (one.to_reply for one in letters)]),
    )


def shares(letters: Sequence[Answered], asked: Sequence[Asked], told: Sequence[Told]) -> Shares:
    """Of letters each of which was alone under way."""
    own, sending, microsoft, reading = zip(*(_parts(letter, asked, told) for letter in letters), strict=True)
    return Shares(
        own=Latency.of(own),
        sending_calls=Latency.of(sending),
        microsoft=Latency.of(microsoft),
        reading_calls=Latency.of(reading),
    )


def _parts(letter: Answered, asked: Sequence[Asked], told: Sequence[Told]) -> tuple[float, float, float, float]:
    begin, end = letter.to_reply
    of_letter = [one for one in asked if one.ended > begin and one.began < end]
    sent_at = next((one.ended for one in of_letter if one.route == SEND_ROUTE), begin)
    told_at = next((one.at for one in told if one.at > begin and WellKnown.INBOX.value in one.folders), sent_at)
    to_send = [(one.began, one.ended) for one in of_letter if not one.route.endswith(DELTA)]
    to_read = [(one.began, one.ended) for one in of_letter]
    sending = length_of_union(within(to_send, begin, sent_at))
    microsoft = max(0.0, told_at - sent_at)
    reading = length_of_union(within(to_read, max(sent_at, told_at), end))
    return end - begin - sending - microsoft - reading, sending, microsoft, reading


async def _post_all(
    url: str, key: str, school: Mapping[str, Any], singles: int, burst: int, tell: Tell
) -> list[list[Answered]]:
    async with connected(url, key) as client, hearing(client) as ear:
        host = Host(client, school["mailboxes"], school["students"])
        tell(0, 2, "one at a time")
        await one_at_a_time(host, ear, WARM_UP)
        alone = await one_at_a_time(host, ear, singles)
        tell(1, 2, "a burst")
        return [alone, await at_once(host, ear, burst)]


def measure(*, letters: int = 100, burst: int = 200, tell: Tell = silent) -> Letters:
    """Run it all. Raises `Broken` when a letter is not accepted, not sent or not answered."""
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        Child("tests.bench.sandbox_server", SandboxPlan(processor=places().client)) as sandbox,
    ):
        microsoft = sandbox.heard()
        school = microsoft["school"]
        plan = plan_for(microsoft, Path(folder), mailboxes=school["mailboxes"])
        with Child("tests.bench.gateway_server", plan) as server:
            ready, idle_mb = server.heard(), server.memory_mb("VmRSS")
            alone, together = asyncio.run(_post_all(ready["url"], ready["key"], school, letters, burst, tell))
            peak_mb = server.memory_mb("VmHWM")
            server.ask_to_stop()
            diary = server.heard()
    asked = [Asked(**one) for one in diary["asked"]]
    told = [Told(**one) for one in diary["told"]]
    counted = [one for one in asked if one.began >= alone[0].letter.posted_at]
    return Letters(
        singles=times(alone),
        shares=shares(alone, asked, told),
        burst=times(together),
        **_burst(together),
        calls_per_letter=calls_per_letter(counted, letters=letters + burst),
        posted=letters + burst,
        answered=len({one.letter.thread_id for one in [*alone, *together]}),
        idle_mb=idle_mb,
        peak_mb=peak_mb,
    )


def _burst(letters: Sequence[Answered]) -> dict[str, float]:
    began = min(one.letter.posted_at for one in letters)
    return {
        "burst_accepted_s": max(one.letter.accepted_at for one in letters) - began,
        "burst_sent_s": max(one.sent_at for one in letters) - began,
        "burst_replied_s": max(one.replied_at for one in letters) - began,
    }


def show(found: Letters, console: Console) -> None:
    """As a table."""
    title = f"{found.posted} letters, {found.answered} answered; the sandbox itself without delays"
    headings = ("", "what", "letters", "p50 ms", "p99 ms", "worst ms")
    table = tables.with_headings(title, headings, left=("", "what"))
    tables.add_group(table, "one at a time", _named(found.singles))
    shares = {
        "  of that: the gateway's own": found.shares.own,
        "  in calls to Graph, sending": found.shares.sending_calls,
        "  Microsoft and the student": found.shares.microsoft,
        "  in calls to Graph, reading": found.shares.reading_calls,
    }
    tables.add_group(table, "", shares, end_section=True)
    tables.add_group(table, "a burst", _named(found.burst))
    console.print(table)
    memory = "" if found.idle_mb is None else f"\nMemory: {found.idle_mb:.0f} MB idle, {found.peak_mb:.0f} MB at most"
    console.print(
        f"The burst: accepted in {found.burst_accepted_s:.2f} s, sent in {found.burst_sent_s:.2f} s, "
        f"answered in {found.burst_replied_s:.2f} s.\n"
        f"Calls to Graph for a letter with its reply: {tables.calls(found.calls_per_letter)}{memory}",
        highlight=False,
    )


def _named(found: Times) -> Mapping[str, Latency]:
    return {
        "POST /v1/messages": found.accepting,
        "accepted → recognised in Sent": found.to_sent,
        "accepted → reply can be read": found.to_reply,
    }


def in_short(found: Letters) -> Figures:
    """One at a time."""
    return {
        **figures.latencies("accepted → reply", found.singles.to_reply),
        **figures.latencies("the gateway's own share", found.shares.own),
        "calls for a letter and its reply": figures.calls(found.calls_per_letter),
        **({} if found.idle_mb is None else {"memory, idle": figures.megabytes(found.idle_mb)}),
        **({} if found.peak_mb is None else {"memory at most": figures.megabytes(found.peak_mb)}),
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return 5 + 0.04 * given["letters"] + 0.03 * given["burst"]


BENCHMARK: Final = Benchmark(
    name="latency",
    about="letters: accepted → recognised in Sent, accepted → the reply can be read",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={
        "letters": Option(flag="letters", type=int, help="one at a time"),
        "burst": Option(flag="burst", type=int, help="letters at once"),
    },
    quick={"letters": 10, "burst": 20},
)
