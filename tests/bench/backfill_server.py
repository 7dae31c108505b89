"""The gateway without its server, at one piece of work: pulling what has gathered in a mailbox."""

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvloop

from gateway.graph import Call
from gateway.main import gateway
from gateway.running import Gateway
from gateway.serving import collect_seldom, hand_over_soon
from storage import Transaction, folders
from tests.bench.gateway_server import (
    Diary,
    GatewayPlan,
    calls_per_letter,
    configure,
    given_plan,
    limits_off,
)
from tests.bench.machine import stay_on
from tests.bench.processes import orders, say
from tests.bench.taking_over import take_over

STATM: Final = Path("/proc/self/statm")
COUNTS: Final = """
SELECT (SELECT count(*) FROM messages WHERE direction = 'in') AS stored,
       (SELECT sum(unrelated) FROM folders) AS unrelated
"""
EARLY: Final = 0.2  # the share of the calls after which memory is looked at, to compare with the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """How a mailbox was pulled. Times in seconds, memory in MiB: before, at most in the first fifth, and at most."""

    seconds: float
    processor_s: float
    stored: int
    unrelated: int
    calls: Mapping[str, float]
    resident_before: float
    resident_early: float
    resident_after: float


@dataclass(slots=True)
class Watcher:
    """Notes each call, and how much memory is in use meanwhile."""

    diary: Diary = field(default_factory=Diary)
    resident: list[float] = field(default_factory=list)

    def note(self, call: Call) -> None:
        """As the observer of the Graph client."""
        self.diary.note_call(call)
        self.resident.append(resident())

    def forget(self) -> None:
        """What was before does not count."""
        self.diary.asked.clear()
        self.resident.clear()


def resident() -> float:
    """MiB in memory: now, or the most so far where the system does not tell."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def pull(built: Gateway, watcher: Watcher) -> Pulled:
    """Everything that is there."""
    watcher.forget()
    before, worked, began = resident(), time.process_time(), time.perf_counter()
    await built.store.write(folders.pull_everything, built.clock.now())
    await built.puller.run_due()
    seconds, processor_s = time.perf_counter() - began, time.process_time() - worked
    stored, unrelated = await built.store.read(_counts)
    early = watcher.resident[: max(1, round(len(watcher.resident) * EARLY))]
    return Pulled(
        seconds=seconds,
        processor_s=processor_s,
        stored=stored,
        unrelated=unrelated,
        calls=calls_per_letter(watcher.diary.asked, letters=1),
        resident_before=before,
        resident_early=max(early),
        resident_after=max(watcher.resident),
    )


def _counts(tx: Transaction) -> tuple[int, int]:
    row = tx.execute(COUNTS).fetchone()
    return row["stored"], row["unrelated"]


async def serve(plan: GatewayPlan) -> None:
    """Connect and pull the little that is there; then pull at each order."""
    watcher = Watcher()
    settings = limits_off(
        database=Path(plan.folder) / "gateway.db", graph_url=plan.sandbox_url, login_url=plan.sandbox_url
    )
    async with gateway(settings, observer=watcher.note) as built:
        await configure(built, plan)
        await built.store.write(take_over, plan.mailboxes[0], plan.letters, built.clock.now())
        await built.puller.run_due()
        collect_seldom()
        hand_over_soon()
        say({})
        async for _ in orders():
            say(await pull(built, watcher))


if __name__ == "__main__":
    the_plan = given_plan()
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
