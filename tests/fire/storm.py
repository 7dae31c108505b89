"""50,000 notifications at once against a real gateway: each answered in time, none acknowledged and lost.

Also with a disk that takes two seconds for each commit: then Graph hears 202 or 503 within its three seconds.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.bench.numbers import Latency
from tests.bench.processes import Child
from tests.end_to_end.processes import connect, settings_for, started
from tests.fire.books import hints_of
from tests.fire.gusts import Heard, Told, batches, blow
from tests.fire.kills import microsoft_365, sandbox_admin
from tests.fire.stalled_server import StalledPlan

GRAPH_WAITS_S: Final = 3.0  # https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
P99_MS: Final = 250.0
GROWTH_MIB: Final = 100.0
DRAINED_WITHIN_S: Final = 120.0
LOOK_EVERY_S: Final = 0.2
CONNECTIONS: Final = 16
MESSAGES: Final = 200  # in each Inbox
SUBSCRIPTIONS: Final = 6  # two folders of three mailboxes
ALLOWED: Final = frozenset({"202"})
ALLOWED_WHEN_STALLED: Final = frozenset({"202", "503"})

OPEN: Final = "SELECT count(*) FROM hints WHERE closed_at IS NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. `commit_s` is how long the disk takes for a commit, beside what it takes anyway."""

    notifications: int
    seed: int
    folder: Path
    commit_s: float = 0.0

    @property
    def is_stalled(self) -> bool:
        """Whether the disk is slow. Then the hints are closed by the next gateway, whose disk is not."""
        return self.commit_s > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weathered:
    """What came of it. `drained_s` is how long after the last answer every hint was closed, None when never."""

    plan: Plan
    connections: int
    requests: int
    acknowledged: int
    answers: Mapping[str, int]
    latency: Latency
    storm_s: float
    rss_mib: float
    peak_mib: float
    drained_s: float | None
    violations: Sequence[str]
    took_s: float


Watcher = Callable[[int], None]


def weather(plan: Plan, watcher: Watcher = lambda acknowledged: None) -> Weathered:
    """Run it all. `watcher` hears how many notifications were acknowledged."""
    began = time.perf_counter()
    with microsoft_365(plan.seed) as microsoft, sandbox_admin(microsoft) as admin:
        env = settings_for(microsoft, plan.folder)
        database = Path(env["GATEWAY_DATABASE"])
        connect(env, microsoft)
        subscribe(env)
        waiting = list(batches(list(mail(admin)), plan.notifications, random.Random(plan.seed)))
        with server(env, plan.commit_s) as pid:
            before = memory_mib(pid, "VmRSS")
            heard = asyncio.run(blow(env["GATEWAY_PUBLIC_URL"], waiting, connections=CONNECTIONS, watcher=watcher))
            drained_s = None if plan.is_stalled else drained_after(database)
            peak = memory_mib(pid, "VmHWM")
        lost = lost_of(heard, database)
        if plan.is_stalled:
            with started(env):
                drained_s = drained_after(database)
    latency = Latency.of(heard.durations_s)
    return Weathered(
        plan=plan,
        connections=CONNECTIONS,
        requests=len(heard.durations_s),
        acknowledged=heard.notifications,
        answers=dict(heard.answers),
        latency=latency,
        storm_s=heard.took_s,
        rss_mib=before,
        peak_mib=peak,
        drained_s=drained_s,
        violations=[
            *lost,
            *untimely(latency, is_stalled=plan.is_stalled),
            *unexpected(heard.answers, ALLOWED_WHEN_STALLED if plan.is_stalled else ALLOWED),
            *([f"the process grew by {peak - before:.0f} MiB"] if peak - before > GROWTH_MIB else []),
            *(["hints are open still"] if drained_s is None else []),
        ],
        took_s=time.perf_counter() - began,
    )


def subscribe(env: Mapping[str, str]) -> None:
    """Let a gateway live until every folder has its subscription."""
    with started(env) as gateway:
        for _ in range(SUBSCRIPTIONS):
            gateway.log_line("subscribed")


def mail(admin: httpx.Client) -> Iterator[Told]:
    """Let mail arrive of which the sandbox tells nobody; how the storm is to tell of each."""
    admin.patch("/behaviour", json={"notifications": False}).raise_for_status()
    state = admin.get("/state").json()
    for mailbox in state["mailboxes"]:
        held = inbox_of(state, mailbox["id"])
        for number in range(MESSAGES if held else 0):
            letter = {"mailbox": mailbox["address"], "from": "someone@elsewhere.example", "subject": f"Mail {number}"}
            arrived = admin.post("/deliver", json=letter).raise_for_status().json()
            yield Told(
                subscription_id=held["id"],
                client_state=held["client_state"],
                tenant_id=state["tenant_id"],
                message_id=arrived["immutable_id"],
            )


def inbox_of(state: Mapping[str, Any], user_id: str) -> dict[str, Any]:
    """The subscription on a mailbox's Inbox; empty when nobody watches it."""
    ours = (one for one in state["subscriptions"] if f"{user_id}/mailFolders('inbox')" in one["resource"])
    return next(ours, {})


@contextmanager
def server(env: Mapping[str, str], commit_s: float) -> Iterator[int]:
    """The gateway that the storm meets; its process id. It ends by SIGKILL."""
    if commit_s:
        with Child("tests.fire.stalled_server", StalledPlan(environment=dict(env), commit_s=commit_s)) as stalled:
            yield int(stalled.heard())
        return
    with started(env) as gateway:
        yield gateway.pid


def memory_mib(pid: int, what: str) -> float:
    """Of a process: VmRSS is what it has in memory now, VmHWM the most it ever had (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{what}:")]
    return int(line.split()[1]) / 1024


def drained_after(database: Path) -> float | None:
    """Wait until no hint is open, looking at the file beside the gateway; how many seconds that took."""
    began = time.perf_counter()
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as file:
        while time.perf_counter() - began < DRAINED_WITHIN_S:
            if file.execute(OPEN).fetchone() == (0,):
                return time.perf_counter() - began
            time.sleep(LOOK_EVERY_S)
    return None


def lost_of(heard: Heard, database: Path) -> list[str]:
    """What was acknowledged and is not in the file that the kill has left."""
    lost = heard.acknowledged - hints_of(database)
    return [f"{message_id} was acknowledged {count} times more than it is kept" for message_id, count in lost.items()]


def untimely(latency: Latency, *, is_stalled: bool) -> list[str]:
    """Answers that were too late."""
    late = [f"an answer took {latency.worst_ms:.0f} ms"] if latency.worst_ms >= GRAPH_WAITS_S * 1000 else []
    slow = latency.p99_ms > P99_MS and not is_stalled
    return [*late, *([f"p99 is {latency.p99_ms:.0f} ms"] if slow else [])]


def unexpected(answers: Mapping[str, int], allowed: frozenset[str]) -> list[str]:
    """Answers that Graph must not hear."""
    return [
        f"{count} requests were answered with {status}" for status, count in answers.items() if status not in allowed
    ]
