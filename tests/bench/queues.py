"""One round of `sending`: a sandbox, a gateway, and the queues that are sent through them."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import httpx

from gateway.clock import SystemClock
from tests.bench.gateway_server import DRAFT_ROUTE, Asked, plan_for
from tests.bench.host import SENT, SUBMITTED, Host, connected, hearing
from tests.bench.machine import places
from tests.bench.processes import Broken, Child
from tests.bench.senders import Sender, SenderPlan, SenderReport

WARM_UP: Final = 10
POSTING_EACH: Final = timedelta(milliseconds=10)  # what a letter is given to be accepted in, before all are due
POSTING: Final = timedelta(seconds=1)
APP: Final = ("tenant_id", "client_id", "client_secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One queue, sent. Processor time is for one letter: the sender's, and the sandbox's."""

    sender: Sender
    mailboxes: int
    per_second: float
    processor_us: float
    sandbox_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What went through the gateway at once. Times are `time.perf_counter`'s; the others are as in `Run`."""

    mailboxes: int
    letters: int
    full_at: float
    submitted_at: float
    recognised_at: float
    processor_us: float
    sandbox_us: float

    def of(self, asked: Iterable[Asked]) -> list[Asked]:
        """The calls that were made for it."""
        return [one for one in asked if self.full_at <= one.began <= self.recognised_at]

    def run(self, asked: Iterable[Asked]) -> Run:
        """As the gateway's diary has it."""
        began = min(one.began for one in self.of(asked) if one.route == DRAFT_ROUTE)
        return Run(
            sender=Sender.GATEWAY,
            mailboxes=self.mailboxes,
            per_second=self.letters / (self.submitted_at - began),
            processor_us=self.processor_us,
            sandbox_us=self.sandbox_us,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A round. `calls` are the gateway's, by number of mailboxes; `sent` is what the sandbox's ledger has."""

    runs: Sequence[Run]
    calls: Mapping[int, Sequence[Asked]]
    sent: int


class Round:
    """A sandbox and a gateway connected to it, and what is sent through them."""

    def __init__(self, sandbox: Child, folder: Path, *, letters: int) -> None:
        self._sandbox = sandbox
        self._letters = letters
        self._microsoft = sandbox.heard()
        addresses = self._microsoft["more_mailboxes"]
        share = len(addresses) // len(Sender)
        self._mailboxes = {
            sender: addresses[place * share : (place + 1) * share] for place, sender in enumerate(Sender)
        }
        self._server = Child(
            "tests.bench.gateway_server",
            plan_for(self._microsoft, folder, mailboxes=self._mailboxes[Sender.GATEWAY]),
        )
        self._runs: list[Run] = []
        self._queues: list[Queue] = []
        self._first = 0

    def __enter__(self) -> Self:
        self._ready = self._server.heard()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()

    def send(self, sender: Sender, mailboxes: int) -> None:
        """One queue. Raises `Broken` when it does not leave."""
        if sender is Sender.GATEWAY:
            self._queues.append(asyncio.run(self._queue(mailboxes)))
        else:
            self._runs.append(self._bare(sender, mailboxes))
        self._first += WARM_UP + self._letters

    def _bare(self, sender: Sender, mailboxes: int) -> Run:
        plan = SenderPlan(
            sender=sender,
            url=self._microsoft["url"],
            **{name: self._microsoft["school"][name] for name in APP},
            mailboxes=self._mailboxes[sender][:mailboxes],
            students=self._microsoft["quiet_students"],
            first=self._first,
            warm_up=WARM_UP,
            letters=self._letters,
            processor=places().server,
        )
        used = self._sandbox.processor_time()
        with Child("tests.bench.senders", plan) as child:
            report = SenderReport(**child.heard())
        used = self._sandbox.processor_time() - used
        return Run(
            sender=sender,
            mailboxes=mailboxes,
            per_second=self._letters / report.seconds,
            processor_us=report.processor_s / self._letters * 1_000_000,
            sandbox_us=used / (WARM_UP + self._letters) * 1_000_000,
        )

    async def _queue(self, mailboxes: int) -> Queue:
        students, clock = self._microsoft["quiet_students"], SystemClock()
        addresses = self._mailboxes[Sender.GATEWAY][:mailboxes]
        async with connected(self._ready["url"], self._ready["key"]) as client, hearing(client) as ear:
            host = Host(client, addresses, students, first=self._first)
            for posted in await host.post_many(WARM_UP):
                await ear.when(SENT, posted.thread_id)
            due = clock.now() + POSTING + POSTING_EACH * self._letters
            letters = await host.post_many(self._letters, due)
            used, full_at = self._used(), time.perf_counter()
            if clock.now() >= due:
                raise Broken("the queue was not full in time")
            submitted_at = [await ear.when(SUBMITTED, one.thread_id) for one in letters]
            recognised_at = [await ear.when(SENT, one.thread_id) for one in letters]
            spent = [after - before for before, after in zip(used, self._used(), strict=True)]
        processor_us, sandbox_us = (one / self._letters * 1_000_000 for one in spent)
        return Queue(
            mailboxes=mailboxes,
            letters=self._letters,
            full_at=full_at,
            submitted_at=max(submitted_at),
            recognised_at=max(recognised_at),
            processor_us=processor_us,
            sandbox_us=sandbox_us,
        )

    def _used(self) -> tuple[float, float]:
        return self._server.processor_time(), self._sandbox.processor_time()

    def memory_mb(self) -> float | None:
        """The gateway's, now. None where the system does not tell."""
        return self._server.memory_mb("VmRSS")

    def finish(self) -> Finished:
        """Stop the gateway and read its diary. Raises `Broken` when the sandbox has not sent each letter once."""
        self._server.ask_to_stop()
        asked = [Asked(**one) for one in self._server.heard()["asked"]]
        ledger = httpx.get(f"{self._microsoft['url']}/_sandbox/ledger", trust_env=False).json()["items"]
        subjects = {one["subject"] for one in ledger}
        if not len(ledger) == len(subjects) == self._first:
            raise Broken(f"{self._first} letters posted, {len(ledger)} sent, {len(subjects)} of them different")
        return Finished(
            runs=[*self._runs, *(queue.run(asked) for queue in self._queues)],
            calls={queue.mailboxes: queue.of(asked) for queue in self._queues},
            sent=len(ledger),
        )
