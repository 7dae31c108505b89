"""The load generator: a closed loop over keep-alive connections, in a process of its own on uvloop.

Each connection posts one request, waits for its answer, and posts the next. So latencies at many connections are
those of a full queue, as long as the server needs for all the others; what a caller sees in quiet times is the row of
one connection. A request is put together from pieces made beforehand around an id, made as Graph makes them, or a key,
that no other request has.
"""

import asyncio
import base64
import re
import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

import uvloop

from gateway.sandbox.identity import global_identifier, immutable_entry
from tests.bench.machine import stay_on
from tests.bench.numbers import Latency
from tests.bench.processes import plan_from_stdin, say

ID_MARK: Final = b"{message id}"
KEY_MARK: Final = b"{key}"
SCATTER: Final = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd, so that different numbers stay different modulo 2**128
DATABASE: Final = bytes.fromhex("b2a8e4f0c1d24b5e9a7d3c60f18e2b94")  # any GUID
GRACE_S: Final = 30
CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """`body` and `headers` have one of `MARKS`; what it is replaced by is made from `first`, `first` + 1, …"""

    port: int
    path: str
    headers: Mapping[str, str]
    body: str
    first: int
    connections: int
    warm_up_s: float
    seconds: float
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """`answered` counts every 202, warm-up and last ones too; `per_second` and `latency` only those in the window.

    `others` counts other answers by status (0: none came). `busy` is the client's share of its processor: close to 1,
    the client was what was measured.
    """

    body_bytes: int
    answered: int
    others: dict[str, int]
    per_second: float
    latency: Latency
    busy: float


def message_id(number: int) -> bytes:
    """As Graph makes them: mail that comes after other mail has a higher number in its id."""
    return base64.urlsafe_b64encode(immutable_entry(global_identifier(DATABASE, number)))


def key(number: int) -> bytes:
    """Like no other and unlike its neighbours, as a UUID is."""
    return b"%032x" % (number * SCATTER % 2**128)


MARKS: Final[Mapping[bytes, Callable[[int], bytes]]] = {ID_MARK: message_id, KEY_MARK: key}


class Pieces:
    """A request, head and body, in pieces around the one mark that it has, at each of its places."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str], body: str) -> None:
        [(mark, self._made)] = [(mark, made) for mark, made in MARKS.items() if mark in body.encode()]
        self.body_bytes = len(self._made(0).join(body.encode().split(mark)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n{lines}"
            f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {self.body_bytes}\r\n\r\n"
        )
        self._pieces = (head + body).encode().split(mark)

    def filled(self, number: int) -> bytes:
        """With what this number makes of the mark; all are of the same length."""
        return self._made(number).join(self._pieces)


class Load:
    """One run: hands out requests until time is up, and keeps what came of them."""

    def __init__(self, plan: LoadPlan) -> None:
        self.over = asyncio.Event()
        self.answered = 0
        self.others: Counter[int] = Counter()
        self.durations = array("d")
        self.pieces = Pieces(plan.port, plan.path, plan.headers, plan.body)
        self._number = plan.first
        self._open = plan.connections
        now = time.perf_counter()
        self.measure_from = now + plan.warm_up_s
        self.until = self.measure_from + plan.seconds

    def request(self) -> bytes:
        """The next one, like no other."""
        self._number += 1
        return self.pieces.filled(self._number)

    def note(self, status: int, asked_at: float, now: float) -> None:
        """An answer came."""
        if status == 202:
            self.answered += 1
        else:
            self.others[status] += 1
        if asked_at >= self.measure_from and now <= self.until:
            self.durations.append(now - asked_at)

    def done(self) -> None:
        """A connection has had its last answer."""
        self._open -= 1
        if self._open == 0:
            self.over.set()


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._load: Load | None = None
        self._came = b""
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def begin(self, load: Load) -> None:
        """All connections are there: go."""
        self._load = load
        self._ask(load, time.perf_counter())

    def _ask(self, load: Load, now: float) -> None:
        self._asked_at = now
        self._transport.write(load.request())

    def data_received(self, data: bytes) -> None:
        self._came += data
        load = self._load
        if load is None or not is_whole(self._came):
            return
        now = time.perf_counter()
        load.note(int(self._came[9:12]), self._asked_at, now)
        self._came = b""
        if now < load.until:
            self._ask(load, now)
        else:
            self._end(load)

    def connection_lost(self, error: Exception | None) -> None:
        if self._load is not None:
            self._load.note(0, self._asked_at, time.perf_counter())
            self._end(self._load)

    def _end(self, load: Load) -> None:
        self._load = None
        self._transport.close()
        load.done()


def is_whole(answer: bytes) -> bool:
    """Whether head and body are there."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    length = CONTENT_LENGTH.search(head)
    return len(body) >= (int(length[1]) if length else 0)


async def run(plan: LoadPlan) -> LoadReport:
    """Carry the plan out."""
    loop = asyncio.get_running_loop()
    callers = [(await loop.create_connection(Caller, "127.0.0.1", plan.port))[1] for _ in range(plan.connections)]
    load, worked, began = Load(plan), time.process_time(), time.perf_counter()
    for caller in callers:
        caller.begin(load)
    async with asyncio.timeout(plan.warm_up_s + plan.seconds + GRACE_S):
        await load.over.wait()
    return LoadReport(
        body_bytes=load.pieces.body_bytes,
        answered=load.answered,
        others={str(status): count for status, count in load.others.items()},
        per_second=len(load.durations) / plan.seconds,
        latency=Latency.of(load.durations or [float(GRACE_S)]),
        busy=(time.process_time() - worked) / (time.perf_counter() - began),
    )


if __name__ == "__main__":
    the_plan = LoadPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    say(uvloop.run(run(the_plan)))
