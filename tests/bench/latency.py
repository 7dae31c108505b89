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
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from storage.folders import WellKnown
from tests.bench.gateway_server import Asked, GatewayPlan, Told
from tests.bench.machine import places
from tests.bench.numbers import Latency, length_of_union, within
from tests.bench.processes import Broken, Child
from tests.bench.sandbox_server import SandboxPlan

LETTERS: Final = 100
BURST: Final = 200
WARM_UP: Final = 5
POSTING_AT_ONCE: Final = 8
PATIENCE_S: Final = 60
SENT: Final = "message.sent"
REPLIED: Final = "reply.received"
SEND_ROUTE: Final = "users/{id}/messages/{id}/send"
DELTA: Final = "/delta"
PORTAL: Final = ("tenant_id", "client_id", "client_secret", "secret_expires_at", "mailboxes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A letter as it went in. Times are `time.perf_counter`'s."""

    thread_id: str
    posted_at: float
    accepted_at: float


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


class Ear:
    """Listens to the event stream and remembers when it heard what."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], float] = {}
        self._news = asyncio.Event()

    async def listen(self, client: httpx.AsyncClient, begun: asyncio.Event) -> None:
        """For ever; `begun` is set once nothing can be missed."""
        async with client.stream("GET", "/v1/events/stream", timeout=None) as stream:
            if stream.status_code != httpx.codes.OK:
                raise Broken(f"the event stream answered {stream.status_code}")
            async for line in stream.aiter_lines():
                begun.set()
                if line.startswith("data: "):
                    self._note(orjson.loads(line.removeprefix("data: ")), time.perf_counter())

    def _note(self, event: Mapping[str, Any], now: float) -> None:
        self._heard.setdefault((event["type"], event["thread_id"]), now)
        self._news.set()

    async def answered(self, letter: Posted) -> Answered:
        """Wait until the letter has been sent and answered."""
        sent_at = await self._when(SENT, letter.thread_id)
        replied_at = await self._when(REPLIED, letter.thread_id)
        return Answered(letter=letter, sent_at=sent_at, replied_at=replied_at)

    async def _when(self, event: str, thread_id: str) -> float:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (event, thread_id) not in self._heard:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Broken(f"no {event} within {PATIENCE_S} s") from None
        return self._heard[event, thread_id]


class Host:
    """SELMA: posts letters from all mailboxes to all students in turn."""

    def __init__(self, client: httpx.AsyncClient, mailboxes: Sequence[str], students: Sequence[Mapping[str, str]]):
        self._client = client
        self._numbers = itertools.count(1)
        self._pairs = itertools.cycle(itertools.product(students, mailboxes))

    async def post(self) -> Posted:
        """The next letter. Raises `Broken` when it is not accepted."""
        number, (student, mailbox) = next(self._numbers), next(self._pairs)
        letter = {
            "from": mailbox,
            "to": [{"name": student["name"], "address": student["address"]}],
            "subject": f"Your enrolment {number}",
            "html": f"<p>Kia ora {student['name']},</p><p>your place {number} is confirmed.</p>",
            "objects": [{"type": "student", "id": student["student_id"]}],
            "created_by": "Jane Doe",
        }
        posted_at = time.perf_counter()
        answer = await self._client.post("/v1/messages", json=letter, headers={"idempotency-key": f"bench-{number}"})
        accepted_at = time.perf_counter()
        if answer.status_code != httpx.codes.ACCEPTED:
            raise Broken(f"letter {number} was answered with {answer.status_code}: {answer.text}")
        return Posted(thread_id=answer.json()["thread_id"], posted_at=posted_at, accepted_at=accepted_at)


async def one_at_a_time(host: Host, ear: Ear, count: int) -> list[Answered]:
    """Each when the one before has been answered."""
    return [await ear.answered(await host.post()) for _ in range(count)]


async def at_once(host: Host, ear: Ear, count: int) -> list[Answered]:
    """As fast as a few connections can."""
    left = iter(range(count))

    async def post() -> list[Posted]:
        return [await host.post() for _ in left]

    async with asyncio.TaskGroup() as group:
        posting = [group.create_task(post()) for _ in range(POSTING_AT_ONCE)]
    return [await ear.answered(letter) for task in posting for letter in task.result()]


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


@asynccontextmanager
async def hearing(client: httpx.AsyncClient) -> AsyncIterator[Ear]:
    """An ear at the event stream while the block lasts."""
    ear, begun = Ear(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(ear.listen(client, begun))
        await begun.wait()
        yield ear
        listening.cancel()


async def _post_all(url: str, key: str, school: Mapping[str, Any], singles: int, burst: int) -> list[list[Answered]]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client:
        host = Host(client, school["mailboxes"], school["students"])
        async with hearing(client) as ear:
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
        plan = GatewayPlan(
            folder=folder,
            sandbox_url=microsoft["url"],
            processor=places().server,
            **{name: school[name] for name in PORTAL},
        )
        with Child("tests.bench.gateway_server", plan) as server:
            ready = server.heard()
            alone, together = asyncio.run(_post_all(ready["url"], ready["key"], school, letters, burst))
            server.ask_to_stop()
            diary = server.heard()
    asked = [Asked(**one) for one in diary["asked"]]
    told = [Told(**one) for one in diary["told"]]
    return Letters(
        singles=times(alone),
        shares=shares(alone, asked, told),
        burst=times(together),
        **_burst(together),
        calls_per_letter=_calls(asked, since=alone[0].letter.posted_at, letters=letters + burst),
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


def _calls(asked: Iterable[Asked], *, since: float, letters: int) -> dict[str, float]:
    counted = Counter(f"{one.method} {one.route}" for one in asked if one.began >= since)
    return {route: count / letters for route, count in counted.most_common()}
