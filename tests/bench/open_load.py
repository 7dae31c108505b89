"""The load generator of an open loop: requests become due at times of their own, whoever has been answered or not.

They come as from many senders who know nothing of each other (a Poisson process). What is due takes an idle connection
and waits for one when there is none; how long an answer took is counted from the moment when it was *due*, so that a
server that holds its callers up is not spared the requests they would have made meanwhile ("coordinated omission").
With `drops`, what finds no idle connection is left out and counted: then the limit is of the generator, not the server.
"""

import asyncio
import itertools
import random
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, cast

import uvloop

from tests.bench.load import Pieces, is_whole
from tests.bench.machine import stay_on
from tests.bench.numbers import percentile
from tests.bench.processes import plan_from_stdin, say

GRACE_S: Final = 15  # for what is under way when the last has become due
SPIN_S: Final = 0.002  # the loop's timers are no finer than a millisecond
AT_ONCE: Final = 200  # connections that are made at the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPlan:
    """As `LoadPlan`, with a rate."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: str
    first: int
    connections: int
    per_second: float
    warm_up_s: float
    seconds: float
    drops: bool
    seed: int
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """How long something took, in milliseconds: also for those few whom it took longest."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float

    @classmethod
    def of(cls, durations_s: Sequence[float]) -> Self:
        """From durations in seconds, at least one."""
        ordered = sorted(durations_s)
        p50, p99, p999 = (percentile(ordered, share) * 1000 for share in (0.50, 0.99, 0.999))
        return cls(count=len(ordered), p50_ms=p50, p99_ms=p99, p999_ms=p999, worst_ms=ordered[-1] * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReport:
    """`answered` is by status, warm-up too; `unanswered` hang, or the server hung up; `dropped` were not sent.

    `since_due` leaves the warm-up out, and counts what was never answered with all the time it was waited for.
    `slowest_s` is of all, counted from the sending; `late_p99_ms` is how late the generator itself was with what it had
    a connection for.
    """

    sent: int
    answered: Mapping[str, int]
    unanswered: int
    dropped: int
    since_due: Tail
    slowest_s: float
    late_p99_ms: float


def arrivals(per_second: float, seconds: float, seed: int) -> Iterator[float]:
    """When requests become due, in seconds from the beginning."""
    chance = random.Random(seed)
    gaps = (chance.expovariate(per_second) for _ in itertools.count())
    return itertools.takewhile(lambda at: at < seconds, itertools.accumulate(gaps))


def since_due(due: Mapping[int, float], ended: Mapping[int, float], *, begin: float, end: float) -> list[float]:
    """How long each request took that was due from `begin` on; without an answer until `end`. Both by its number."""
    return [ended.get(number, end) - at for number, at in due.items() if at >= begin]


class OpenLoad:
    """One run. Times of `due`, `sent` and `ended` are in seconds from the beginning."""

    def __init__(self, plan: OpenPlan, due: Sequence[float]) -> None:
        self.due = due
        self.ended: dict[int, float] = {}
        self.answered: Counter[int] = Counter()
        self.sent: dict[int, float] = {}
        self.late = array("d")
        self.dropped: set[int] = set()
        self.hung_up: set[int] = set()
        self.slowest_s = 0.0
        self.over = asyncio.Event()
        self._idle: list[Line] = []
        self._waiting: deque[int] = deque()
        self._next = 0
        self._drops = plan.drops
        self._pieces = Pieces(plan.port, plan.path, plan.headers, plan.body)
        self._first = plan.first
        self._began = 0.0

    def now(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._began

    def begin(self, lines: Sequence["Line"]) -> None:
        """All connections are there: go."""
        self._idle = list(lines)
        self._began = time.perf_counter()
        self._go_on()

    def _go_on(self) -> None:
        """Send what is due, and come back for the next."""
        now = self.now()
        while self._next < len(self.due) and self.due[self._next] <= now:
            self._send(self._next, now)
            self._next += 1
        if self._next == len(self.due):
            self._look()
            return
        loop, wait_s = asyncio.get_running_loop(), self.due[self._next] - now - SPIN_S
        if wait_s > 0:
            loop.call_later(wait_s, self._go_on)
        else:
            loop.call_soon(self._go_on)

    def _send(self, number: int, now: float) -> None:
        while self._idle and not self._idle[-1].is_open:
            self._idle.pop()
        if self._idle:
            self.late.append(now - self.due[number])
            self._put(self._idle.pop(), number)
        elif self._drops:
            self.dropped.add(number)
        else:
            self._waiting.append(number)

    def _put(self, line: "Line", number: int) -> None:
        self.sent[number] = self.now()
        line.put(number, self._pieces.filled(self._first + number + 1))

    def note(self, line: "Line", number: int, status: int) -> None:
        """An answer came."""
        now = self.now()
        self.ended[number] = now
        self.answered[status] += 1
        self.slowest_s = max(self.slowest_s, now - self.sent[number])
        if self._waiting and line.is_open:
            self._put(line, self._waiting.popleft())
        else:
            self._idle.append(line)
            self._look()

    def lost(self, number: int) -> None:
        """The server has hung up on a request."""
        self.hung_up.add(number)
        self._look()

    def _look(self) -> None:
        if self._next == len(self.due) and not self._waiting and len(self.ended) + len(self.hung_up) == len(self.sent):
            self.over.set()

    def report(self, *, begin: float) -> OpenReport:
        """What came of it; a request that is not answered has taken until now."""
        end = self.now()
        kept = {number: at for number, at in enumerate(self.due) if number not in self.dropped}
        durations = since_due(kept, self.ended, begin=begin, end=end)
        hanging = [end - at for number, at in self.sent.items() if number not in self.ended]
        return OpenReport(
            sent=len(self.sent),
            answered={str(status): count for status, count in self.answered.items()},
            unanswered=len(hanging) + len(self._waiting),
            dropped=len(self.dropped),
            since_due=Tail.of(durations or [0.0]),
            slowest_s=max([self.slowest_s, *hanging]),
            late_p99_ms=percentile(sorted(self.late or [0.0]), 0.99) * 1000,
        )


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.load: OpenLoad | None = None
        self._came = b""
        self._number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    @property
    def is_open(self) -> bool:
        """Whether the server has not hung up."""
        return not self._transport.is_closing()

    def put(self, number: int, request: bytes) -> None:
        """Send it."""
        self._number, self._came = number, b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self.load is None or self._number is None or not is_whole(self._came):
            return
        number, self._number = self._number, None
        self.load.note(self, number, int(self._came[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self.load is not None and self._number is not None:
            self.load.lost(self._number)


async def connected(port: int, count: int) -> list[Line]:
    """So many connections."""
    loop = asyncio.get_running_loop()
    lines: list[Line] = []
    while len(lines) < count:
        some = range(min(AT_ONCE, count - len(lines)))
        made = await asyncio.gather(*(loop.create_connection(Line, "127.0.0.1", port) for _ in some))
        lines += [line for _, line in made]
    return lines


async def run(plan: OpenPlan) -> OpenReport:
    """Carry the plan out."""
    due = list(arrivals(plan.per_second, plan.warm_up_s + plan.seconds, plan.seed))
    lines = await connected(plan.port, plan.connections)
    load = OpenLoad(plan, due)
    for line in lines:
        line.load = load
    load.begin(lines)
    try:
        async with asyncio.timeout(plan.warm_up_s + plan.seconds + GRACE_S):
            await load.over.wait()
    except TimeoutError:
        pass  # what is not answered now hangs: the report says so
    return load.report(begin=plan.warm_up_s)


if __name__ == "__main__":
    the_plan = OpenPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    say(uvloop.run(run(the_plan)))
