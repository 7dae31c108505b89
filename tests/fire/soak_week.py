"""A week in a minute or two: gateway and sandbox on one clock that is moved by hand, through all that a week has.

Letters and replies by day, notifications, renewals, sweeps, expiry, retention, a webhook whose receiver fails, the
daily round trips, deaths in the midst of work on the first days. What the gateway itself has allocated (tracemalloc, by
the files of its packages, for the sandbox lives in the same process and keeps all mail), its files, its tasks and its
database's log must be the same after the last day as after the first calm one.

A little growth is the sandbox's: CPython gives the tables of small dicts out again without telling tracemalloc, so some
that the sandbox keeps bear a line of ours (all of 120 bytes, and no dict of ours refers to them).
"""

import asyncio
import gc
import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.host.post import Answer
from gateway.running import Gateway
from storage import Transaction, retention
from tests.fire.mailbag import Mailbag
from tests.fire.one_clock import Site, listening_for_cries, site
from tests.fire.steady import LONGEST_LOG, MORE_FILES, MORE_TASKS

DAY: Final = timedelta(days=1)
STEP: Final = timedelta(minutes=10)
BUSY: Final = range(8, 18)  # hours, UTC, in which people write
LETTERS_A_STEP: Final = 2
KEPT: Final = 1  # days: so that as much is forgotten in a week as comes
DIES: Final = 0.02  # the share of steps on the first days in which it dies in the midst of its work
RESTLESS: Final = 2  # days on which it dies and is started anew
GROWTH_KIB: Final = 512.0
GROWTH: Final = 0.10
HOOK: Final = "https://selma.school.example/mail-events"
OURS: Final = ("/gateway/", "/storage/", "/subscriptions/")
NOT_OURS: Final = ("/gateway/sandbox/", "/tests/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for: so many days, of which the first `restless` have deaths."""

    days: float
    seed: int
    folder: Path
    restless: float = RESTLESS
    step: timedelta = STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the gateway holds at the end of one. `own_kib` is what it has allocated."""

    at: timedelta
    own_kib: float
    files: int
    tasks: int
    log_mib: float
    database_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What came of it. `befell` counts what happened."""

    plan: Plan
    days: Sequence[Day]
    befell: Mapping[str, int]
    grown: Sequence[str]
    violations: Sequence[str]
    took_s: float


class Receiver:
    """Takes half of the events, and is away in the nights."""

    def __init__(self, chance: random.Random) -> None:
        self.answers = Counter[int]()
        self._chance = chance
        self.is_away = False

    async def post(self, url: str, headers: dict[str, str], body: str) -> Answer:
        status = 503 if self.is_away else self._chance.choice([204, 500])
        self.answers[status] += 1
        return Answer(status=status, problem=None if status == 204 else f"It answered {status}.", took_ms=1)


@dataclass(slots=True, kw_only=True)
class Diary:
    """What is noted meanwhile."""

    days: list[Day] = field(default_factory=list)
    befell: Counter[str] = field(default_factory=Counter)
    first: tracemalloc.Snapshot | None = None
    last: tracemalloc.Snapshot | None = None


Watcher = Callable[[int], None]


def live(plan: Plan, watcher: Watcher = lambda hours: None) -> Lived:
    """Run it all. `watcher` hears how many hours have passed."""
    began, was_tracing = time.perf_counter(), tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        with listening_for_cries() as cries:
            diary = asyncio.run(_live(plan, watcher))
        grown = what_grew(diary)
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return Lived(
        plan=plan,
        days=diary.days,
        befell=dict(diary.befell),
        grown=grown,
        violations=[*breaches(diary.days, plan.restless), *cries],
        took_s=time.perf_counter() - began,
    )


async def _live(plan: Plan, watcher: Watcher) -> Diary:
    chance, diary = random.Random(plan.seed), Diary()
    receiver = Receiver(chance)
    async with site(plan.folder, seed=plan.seed, post=receiver) as here:
        bag = Mailbag(site=here, chance=chance)
        await here.gateway.webhooks.add(here.account_id, url=HOOK, description=None, types=[])
        await here.gateway.store.write(retention.set_rules, here.account_id, {retention.THREADS: KEPT})
        began, steps = here.clock.now(), round(plan.days * DAY / plan.step)
        each_day = max(1, round(min(DAY, plan.days * DAY / 4) / plan.step))
        for number in range(1, steps + 1):
            is_day = here.clock.now().hour in BUSY
            receiver.is_away = not is_day
            if is_day:
                await write(here, bag, diary)
            restless = here.clock.now() - began < plan.restless * DAY
            await here.step(
                plan.step, dies_after=1 + chance.randrange(4) if restless and chance.random() < DIES else None
            )
            await do_chores(here.gateway)
            if number % each_day == 0:
                note(here, diary, here.clock.now() - began)
                watcher(int((here.clock.now() - began) / timedelta(hours=1)))
        await sum_up(here, bag, receiver, diary)
    return diary


async def write(here: Site, bag: Mailbag, diary: Diary) -> None:
    """A few letters, and replies to those that have left."""
    await bag.send_letters(LETTERS_A_STEP)
    diary.befell["letters"] += LETTERS_A_STEP
    if await bag.collect():
        for _ in range(LETTERS_A_STEP):
            bag.letters = bag.letters[-60:]
            bag.reply()
            diary.befell["replies"] += 1
    if bag.chance.random() < 0.3:
        bag.strange_mail()
        diary.befell["unrelated mail"] += 1


async def do_chores(built: Gateway) -> None:
    """One round of what `Site.step` does not do."""
    await built.deliverer.run_due()
    await built.elsewhere.run_due()
    await built.expiry_reader.run_due()
    await built.expiry.run_due()
    await built.connections.probe_due()
    await built.setup.confinement.run_due()
    await built.setup.validating.run_due()
    trips = built.setup.round_trips
    await trips.begin_due()
    await trips.follow_all()
    await trips.clean_due()
    await built.completeness.run_due()
    await built.tidier.run_due()
    await built.housekeeping.run_due()
    await built.privacy.retention.run_due()
    await built.callers.keep(built.store)
    await built.trail.flush()
    while await built.merger.step():
        pass


def note(here: Site, diary: Diary, at: timedelta) -> None:
    """What it holds now."""
    gc.collect()
    snapshot = tracemalloc.take_snapshot()
    log = here.database.with_name(here.database.name + "-wal")
    diary.first, diary.last = diary.last if diary.first is None else diary.first, snapshot
    diary.days.append(
        Day(
            at=at,
            own_kib=sum(one.size for one in snapshot.statistics("filename") if is_ours(one.traceback[0].filename))
            / 1024,
            files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            tasks=len(asyncio.all_tasks()),
            log_mib=log.stat().st_size / 2**20,
            database_mib=here.database.stat().st_size / 2**20,
        )
    )


def is_ours(path: str) -> bool:
    """Whether a file is of the gateway's packages, and not of the sandbox's."""
    return any(one in path for one in OURS) and not any(one in path for one in NOT_OURS)


async def sum_up(here: Site, bag: Mailbag, receiver: Receiver, diary: Diary) -> None:
    """What happened, in numbers."""
    found = await here.gateway.store.read(_counts)
    diary.befell.update(found)
    diary.befell["deaths"] = here.deaths
    diary.befell.update({f"webhook answered {status}": count for status, count in receiver.answers.items()})
    diary.befell["calls of Graph"] = here.to_graph.calls


def _counts(tx: Transaction) -> dict[str, int]:
    def count(sql: str) -> int:
        return int(tx.execute(sql).fetchone()[0])

    return {
        "round trips": count("SELECT count(*) FROM round_trips"),
        "threads left": count("SELECT count(*) FROM threads"),
        "threads forgotten": count("SELECT count(*) FROM erasures"),
    }


def breaches(days: Sequence[Day], restless: float) -> list[str]:
    """What is not the same after the last day as after the first calm one."""
    calm = [day for day in days if day.at > restless * DAY]
    if len(calm) < 2:
        return []
    first, last, said = calm[0], calm[-1], []
    if last.own_kib > first.own_kib * (1 + GROWTH) + GROWTH_KIB:
        said.append(f"what the gateway has allocated grew from {first.own_kib:,.0f} to {last.own_kib:,.0f} KiB")
    if last.files > first.files + MORE_FILES:
        said.append(f"open files grew from {first.files} to {last.files}")
    if last.tasks > first.tasks + MORE_TASKS:
        said.append(f"tasks grew from {first.tasks} to {last.tasks}")
    if max(day.log_mib for day in days) > LONGEST_LOG / 2**20:
        said.append(f"the database's log grew to {max(day.log_mib for day in days):.0f} MiB")
    return said


def what_grew(diary: Diary) -> list[str]:
    """The lines of ours that hold most more at the end than on the second day, for whoever looks for a leak."""
    if diary.first is None or diary.last is None:
        return []
    differences = diary.last.compare_to(diary.first, "lineno")
    return [str(one) for one in differences if is_ours(one.traceback[0].filename) and one.size_diff > 0][:15]
