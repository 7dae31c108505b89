"""The wall clock jumps, on by days and back by hours, while real processes watch a mailbox: no reply is lost for it.

Gateway and sandbox are processes under one wall clock, which jumps while their monotonic clocks go on: as when a
machine was asleep, or its time was wrong. After each jump a reply comes in, and it must be here before long, also when
no notification tells of it; each folder must have a subscription with half of its life before it; and a gateway that
has nothing to do must be at rest, which one that sleeps for less than no time is not.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from gateway.clock import SystemClock
from tests.end_to_end.clock import SEEN_WITHIN_S, WallClock
from tests.end_to_end.processes import Microsoft, Process, a_letter, connect, settings_for, started
from tests.fire.kills import sandbox_admin

GRANTED: Final = timedelta(minutes=10_000)  # what the gateway asks for
HALF: Final = GRANTED / 2 - timedelta(minutes=10)  # with something for the time that a look takes
SUBSCRIPTIONS: Final = 6  # two folders of three mailboxes
PATIENCE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.2
REST_S: Final = 2.0
AT_REST: Final = 0.5  # of a processor, at most
TICKS: Final = os.sysconf("SC_CLK_TCK")
SUBJECT: Final = "Re: Letter 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """How far, and whether a notification tells of the reply that comes after it."""

    by: timedelta
    is_told: bool


FIRST: Final = (
    Jump(by=timedelta(days=3), is_told=True),
    Jump(by=timedelta(days=8), is_told=False),
    Jump(by=timedelta(hours=-2), is_told=False),
    Jump(by=timedelta(days=4), is_told=True),
    Jump(by=timedelta(hours=-2), is_told=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for: the first of `FIRST`, then others by chance; or these.

    `at_rest` is for a quiet machine: elsewhere what the processor does says nothing.
    """

    jumps: int
    seed: int
    folder: Path
    given: Sequence[Jump] = ()
    at_rest: bool = True

    def course(self) -> list[Jump]:
        """All of them, in order."""
        chance = random.Random(self.seed)
        by_chance = (_any_jump(chance) for _ in range(self.jumps))
        return list(self.given or [*FIRST, *by_chance][: self.jumps])


def _any_jump(chance: random.Random) -> Jump:
    back, on = timedelta(minutes=chance.uniform(1, 180)), timedelta(hours=chance.uniform(0.1, 240))
    return Jump(by=chance.choice([-back, on]), is_told=chance.random() < 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jumped:
    """What came of it. Times in seconds after a jump: until its reply was here, then until all was subscribed to.

    `busy` is the share of a processor that the gateway took in the end, with nothing to do.
    """

    plan: Plan
    replies: int
    stored: int
    reply_s: Sequence[float]
    subscribed_s: Sequence[float]
    busy: float
    violations: Sequence[str]
    took_s: float


@dataclass(slots=True, kw_only=True)
class Scene:
    """A school under a wall clock. `answered` is the thread that all replies go to."""

    clock: WallClock
    admin: httpx.Client
    api: httpx.Client
    gateway: Process
    mailbox: str
    student: str
    answered: str = ""
    conversation_id: str = ""
    replies: int = 0
    violations: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        """What the processes think that it is."""
        return SystemClock().now() + self.clock.ahead

    def wait(self, holds: Callable[[], bool], what: str) -> float:
        """How many seconds until it holds; when it does not, that is a broken promise."""
        began = time.perf_counter()
        while not holds():
            if time.perf_counter() - began > PATIENCE_S:
                self.violations.append(f"after {PATIENCE_S:.0f} s {what}")
                break
            self.gateway.lives_until(time.perf_counter() + LOOK_EVERY_S)
        return time.perf_counter() - began

    def begin(self, microsoft: Microsoft) -> None:
        """A letter, and its first reply."""
        self.wait(self.all_subscribed, "not all folders were watched at first")
        posted = self.api.post("/v1/messages", json=a_letter(0, microsoft)).raise_for_status().json()
        self.answered = posted["thread_id"]
        self.replies = 1
        self.wait(self.all_here, "the student's answer was not here")
        self.conversation_id = self.thread()["conversation_id"]

    def reply(self) -> None:
        """Another one comes in."""
        reply = {"from": self.student, "mailbox": self.mailbox, "subject": SUBJECT, "text": f"Reply {self.replies}"}
        self.admin.post("/deliver", json={**reply, "conversation_id": self.conversation_id}).raise_for_status()
        self.replies += 1

    def thread(self) -> dict[str, Any]:
        """As the API tells of it."""
        found: dict[str, Any] = self.api.get(f"/v1/threads/{self.answered}").raise_for_status().json()
        return found

    def stored(self) -> int:
        """How many replies are here."""
        return sum(message["direction"] == "in" for message in self.thread()["messages"])

    def all_here(self) -> bool:
        """Every reply that came."""
        return self.stored() >= self.replies

    def all_subscribed(self) -> bool:
        """Whether Microsoft would tell of each folder's mail for at least half of a subscription's life."""
        found = self.admin.get("/state").raise_for_status().json()["subscriptions"]
        ends = [datetime.fromisoformat(one["expiration_date_time"]) for one in found]
        return len(ends) == SUBSCRIPTIONS and min(ends) - self.now() >= HALF

    def busy(self) -> float:
        """The share of a processor that the gateway takes when there is nothing to do."""
        before, began = self._worked_s(), time.perf_counter()
        self.gateway.lives_until(began + REST_S)
        return (self._worked_s() - before) / (time.perf_counter() - began)

    def _worked_s(self) -> float:
        times = Path(f"/proc/{self.gateway.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / TICKS


@contextmanager
def scene(folder: Path, seed: int) -> Iterator[Scene]:
    """A gateway that watches the school."""
    clock = WallClock(folder)
    environment = dict(clock.environment)
    command = ("sandbox", "--port", "0", "--reply-after", "0", "--seed", str(seed), "--json")
    with Process(*command, env=environment) as sandbox:
        microsoft = Microsoft.from_line(sandbox.output_line())
        env = settings_for(microsoft, folder)
        headers = {"authorization": f"Bearer {connect(env, microsoft)}"}
        with (
            sandbox_admin(microsoft) as admin,
            httpx.Client(base_url=env["GATEWAY_PUBLIC_URL"], headers=headers, timeout=30, trust_env=False) as api,
            started(env | environment) as gateway,
        ):
            one = Scene(
                clock=clock,
                admin=admin,
                api=api,
                gateway=gateway,
                mailbox=microsoft.mailboxes[0],
                student=microsoft.students[0],
            )
            one.begin(microsoft)
            yield one


def jump_about(plan: Plan, watcher: Callable[[int], None] = lambda jumps: None) -> Jumped:
    """Run it all. `watcher` hears of each jump."""
    began = time.perf_counter()
    reply_s: list[float] = []
    subscribed_s: list[float] = []
    with scene(plan.folder, plan.seed) as one:
        for number, jump in enumerate(plan.course(), start=1):
            one.admin.patch("/behaviour", json={"notifications": jump.is_told}).raise_for_status()
            one.clock.jump(jump.by)
            one.gateway.lives_until(time.perf_counter() + SEEN_WITHIN_S)
            one.reply()
            reply_s.append(one.wait(one.all_here, f"the reply after a jump by {jump.by} was not here"))
            subscribed_s.append(one.wait(one.all_subscribed, f"not all was subscribed to after a jump by {jump.by}"))
            watcher(number)
        busy = one.busy() if plan.at_rest else 0.0
        stored = one.stored()
        code, said = one.gateway.terminate()
        one.violations += [f"the gateway logged: {line}" for line in one.gateway.cries()]
        one.violations += [f"the gateway ended with {code}: {said}"] if code else []
        one.violations += [f"of {one.replies} replies {stored} are stored"] if stored != one.replies else []
        one.violations += [f"at rest the gateway took {busy:.0%} of a processor"] if busy > AT_REST else []
    return Jumped(
        plan=plan,
        replies=one.replies,
        stored=stored,
        reply_s=reply_s,
        subscribed_s=subscribed_s,
        busy=busy,
        violations=one.violations,
        took_s=time.perf_counter() - began,
    )
