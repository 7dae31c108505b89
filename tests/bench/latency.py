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

from storage.folders import WellKnown
from tests.bench.gateway_server import SEND_ROUTE, Asked, Told, calls_per_letter, plan_for
from tests.bench.host import REPLIED, SENT, Ear, Host, Posted, connected, hearing
from tests.bench.machine import places
from tests.bench.numbers import Latency, length_of_union, within
from tests.bench.processes import Child
from tests.bench.sandbox_server import SandboxPlan

LETTERS: Final = 100
BURST: Final = 200
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
    """`calls_per_letter` is by method and route, over singles and burst; a batch counts as one call."""

    singles: Times
    shares: Shares
    burst: Times
    burst_accepted_s: float
    burst_sent_s: float
    burst_replied_s: float
    calls_per_letter: Mapping[str, float]
    posted: int
    answered: int


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


async def _post_all(url: str, key: str, school: Mapping[str, Any], singles: int, burst: int) -> list[list[Answered]]:
    async with connected(url, key) as client, hearing(client) as ear:
        host = Host(client, school["mailboxes"], school["students"])
        await one_at_a_time(host, ear, WARM_UP)
        return [await one_at_a_time(host, ear, singles), await at_once(host, ear, burst)]


def measure(*, letters: int = LETTERS, burst: int = BURST) -> Letters:
    """Run it all. Raises `Broken` when a letter is not accepted, not sent or not answered."""
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        Child("tests.bench.sandbox_server", SandboxPlan(processor=places().client)) as sandbox,
    ):
        microsoft = sandbox.heard()
        school = microsoft["school"]
        plan = plan_for(microsoft, Path(folder), mailboxes=school["mailboxes"])
        with Child("tests.bench.gateway_server", plan) as server:
            ready = server.heard()
            alone, together = asyncio.run(_post_all(ready["url"], ready["key"], school, letters, burst))
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
    )


def _burst(letters: Sequence[Answered]) -> dict[str, float]:
    began = min(one.letter.posted_at for one in letters)
    return {
        "burst_accepted_s": max(one.letter.accepted_at for one in letters) - began,
        "burst_sent_s": max(one.sent_at for one in letters) - began,
        "burst_replied_s": max(one.replied_at for one in letters) - began,
    }
