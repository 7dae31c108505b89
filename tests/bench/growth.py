"""How the gateway grows: with the notifications in one request, and with the mailboxes of a school.

Requests of 1, 10 and 100 notifications go to the bare app and to the gateway of `door_server`. A gateway as it is
served gets 1, 10 and 100 mailboxes: how long it takes until all their folders are watched, how much memory that is, and
how fast a queue that is spread over them leaves, beside the bare loop of `senders`. (How it grows with the messages,
`reading` measures.)
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, SECONDS, Benchmark, Option, Tell, each, silent
from tests.bench.door_server import Door
from tests.bench.figures import Better, Figures
from tests.bench.loads import Run
from tests.bench.machine import places
from tests.bench.numbers import Spread
from tests.bench.open_door import OpenDoor
from tests.bench.processes import Child
from tests.bench.queues import Round
from tests.bench.sandbox_server import SandboxPlan
from tests.bench.senders import Sender

ITEMS: Final = (1, 10, 100)
MAILBOXES: Final = (1, 10, 100)
CONNECTIONS: Final = 16
DOORS: Final = (Door.BARE, Door.GATEWAY)
SENDERS: Final = (Sender.GATEWAY, Sender.BARE_LOOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Requests of so many notifications, over all rounds. `of_bare` compares throughput; the rest is the gateway's."""

    items: int
    notifications_per_second: Spread
    processor_us: Spread
    of_bare: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """A gateway with so many mailboxes, measured once. Memory in MB once all is watched; None: not known."""

    mailboxes: int
    watched_s: float
    memory_mb: float | None
    letters_per_second: float
    of_bare_loop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """`rounds` are of the bundles."""

    rounds: int
    seconds: float
    letters: int
    bundles: Sequence[Bundle]
    schools: Sequence[School]


def measure(
    *,
    seconds: float = 2.0,
    rounds: int = 3,
    letters: int = 200,
    items: Sequence[int] = ITEMS,
    mailboxes: Sequence[int] = MAILBOXES,
    tell: Tell = silent,
) -> Growth:
    """Run it all. Raises `Broken` when an answer was not true, or a letter was not sent once."""
    steps = [
        (number, count, door)
        for number in range(rounds)
        for count in items
        for door in (DOORS if number % 2 == 0 else DOORS[::-1])
    ]
    of = len(steps) + len(mailboxes)
    runs: dict[tuple[Door, int], list[Run]] = {}
    for number, count, door in each(
        tell, steps, lambda it: f"round {it[0] + 1}: {it[2]}, notifications: {it[1]}", of=of
    ):
        runs.setdefault((door, count), []).append(_bundle(door, count, seconds, number))
    named = each(tell, mailboxes, lambda count: f"mailboxes: {count}", before=len(steps), of=of)
    return Growth(
        rounds=rounds,
        seconds=seconds,
        letters=letters,
        schools=[school(count, letters) for count in named],
        bundles=[bundle(count, runs[Door.GATEWAY, count], runs[Door.BARE, count]) for count in items],
    )


def _bundle(door: Door, items: int, seconds: float, number: int) -> Run:
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        OpenDoor(door, Path(folder) / "x", items=items) as one,
    ):
        run = one.under_load(CONNECTIONS, seconds=seconds, number=number)
        one.kill_and_count()
        return run


def bundle(items: int, own: Sequence[Run], bare: Sequence[Run]) -> Bundle:
    """All rounds with so many in a request."""
    pairs = zip(own, bare, strict=True)
    return Bundle(
        items=items,
        notifications_per_second=Spread.of([items * one.load.per_second for one in own]),
        processor_us=Spread.of([one.processor_us / items for one in own]),
        of_bare=Spread.of([one.load.per_second / max(other.load.per_second, 1.0) for one, other in pairs]),
    )


def school(mailboxes: int, letters: int) -> School:
    """A sandbox and a gateway with so many mailboxes, and a queue from all of them."""
    plan = SandboxPlan(processor=places().client, more_mailboxes=mailboxes * len(Sender))
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        Child("tests.bench.sandbox_server", plan) as sandbox,
    ):
        there = Round(sandbox, Path(folder), letters=letters)
        began = time.perf_counter()
        with there:
            watched_s, memory_mb = time.perf_counter() - began, there.memory_mb()
            for sender in SENDERS:
                there.send(sender, mailboxes)
            runs = {run.sender: run for run in there.finish().runs}
    own, bare = (runs[sender].per_second for sender in SENDERS)
    return School(
        mailboxes=mailboxes,
        watched_s=watched_s,
        memory_mb=memory_mb,
        letters_per_second=own,
        of_bare_loop=own / bare,
    )


def show(found: Growth, console: Console) -> None:
    """As tables."""
    title = f"Notifications in one request, {CONNECTIONS} connections, {found.rounds} rounds of {found.seconds:g} s"
    headings = ("in a request", "notifications per second", "µs of processor for each", "requests of bare")
    table = tables.with_headings(title, headings)
    for row in found.bundles:
        table.add_row(
            str(row.items),
            tables.spread(row.notifications_per_second, ",.0f"),
            tables.spread(row.processor_us, ",.0f"),
            tables.spread(row.of_bare, ".2f"),
        )
    console.print(table)
    headings = ("mailboxes", "all watched after s", "memory MB", "letters per second", "of bare loop")
    table = tables.with_headings(f"Mailboxes, and {found.letters} letters from all of them", headings)
    for one in found.schools:
        table.add_row(
            str(one.mailboxes),
            f"{one.watched_s:.1f}",
            "" if one.memory_mb is None else f"{one.memory_mb:.0f}",
            f"{one.letters_per_second:,.0f}",
            f"{one.of_bare_loop:.2f}",
        )
    console.print(table)


def in_short(found: Growth) -> Figures:
    """What each is at most, and by what it was at least."""
    few, many = found.bundles[0], found.bundles[-1]
    small, large = found.schools[0], found.schools[-1]
    cost = many.processor_us.median / few.processor_us.median
    short = {
        f"notifications per second, {row.items} in a request": figures.per_second(row.notifications_per_second)
        for row in found.bundles
    }
    return {
        **short,
        **{f"of bare, {row.items} in a request": figures.times(row.of_bare) for row in found.bundles},
        "processor time of a notification, most by fewest in a request": figures.times(cost, Better.LOWER),
        "letters of bare loop, most mailboxes": figures.times(large.of_bare_loop),
        "letters of bare loop, fewest mailboxes": figures.times(small.of_bare_loop),
        "most mailboxes watched after": figures.seconds(large.watched_s),
        **({} if large.memory_mb is None else {"memory with most mailboxes": figures.megabytes(large.memory_mb)}),
    }


def _lasts(given: Mapping[str, Any]) -> float:
    bundles = given["rounds"] * len(given["items"]) * 2 * (1.25 * given["seconds"] + 1.2)
    return bundles + sum(4 + 0.1 * count + 0.02 * given["letters"] for count in given["mailboxes"])


BENCHMARK: Final = Benchmark(
    name="growth",
    about="1 → 100 notifications in a request, against the bare app; 1 → 100 mailboxes, against the bare loop",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={
        "seconds": SECONDS,
        "rounds": ROUNDS,
        "letters": Option(flag="spread-letters", type=int, help="letters from all mailboxes together"),
    },
    quick={"seconds": 0.4, "rounds": 1, "letters": 40, "items": (1, 100), "mailboxes": (1, 10)},
)
