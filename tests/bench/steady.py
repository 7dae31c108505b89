"""Graph's door at a steady pace, and beyond what it can do: an open loop, where requests do not wait for answers.

Notifications come one by one at 1,000 and at 3,000 a second (see `open_load`), to the bare app and to the gateway of
`door_server`, each alone, forwards in one round and backwards in the next; what an answer took is counted from the
moment when the notification was due. Then the gateway alone gets requests of fifty notifications each at a pace that
no door of one process keeps up with: each of them must be answered with 202 or 503, and soon. In the end each door is
killed, and what was answered with 202 must be on disk.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, SECONDS, Benchmark, Tell, each, silent
from tests.bench.door_server import Door
from tests.bench.figures import Better, Figures
from tests.bench.numbers import Spread
from tests.bench.open_door import OpenDoor
from tests.bench.open_load import OpenReport
from tests.bench.processes import Broken

RATES: Final = (1_000, 3_000)
DOORS: Final = (Door.BARE, Door.GATEWAY)
CONNECTIONS: Final = 64
OVERLOAD: Final = 4_000  # requests a second …
OVERLOAD_ITEMS: Final = 50  # … of so many notifications …
OVERLOAD_CONNECTIONS: Final = 1_500  # … over so many connections: fewer than the gateway lets in
LATE_MS: Final = 2.0
TOO_LATE: Final = ": on a machine as busy as this, these latencies are the machine's"
ANSWERS: Final = frozenset({"202", "503"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One door at one rate, or under overload."""

    round: int
    door: Door
    per_second: int
    report: OpenReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A door at a rate, over all rounds. `of_bare` is its p99 by the bare app's."""

    door: Door
    per_second: int
    p50_ms: Spread
    p99_ms: Spread
    p999_ms: Spread
    worst_ms: Spread
    of_bare: Spread
    late_p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """`answers` by status; `unanswered` hang, and `dropped` found no free connection. Over all rounds."""

    per_second: int
    items: int
    connections: int
    answers: Mapping[str, int]
    unanswered: int
    dropped: int
    slowest_s: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """`on_disk` are notifications, at least as many as were answered with 202."""

    rounds: int
    seconds: float
    paces: Sequence[Pace]
    overload: Overload
    on_disk: int


def measure(
    *,
    seconds: float = 5.0,
    rounds: int = 5,
    rates: Sequence[int] = RATES,
    overload: int = OVERLOAD,
    overload_connections: int = OVERLOAD_CONNECTIONS,
    tell: Tell = silent,
) -> Steady:
    """Run it all. Raises `Broken` when an answer was not true, or not 202 in quiet times."""
    runs: list[Run] = []
    flooded: list[OpenReport] = []
    on_disk = 0
    steps = [
        (number, door, rate)
        for number in range(rounds)
        for door, rate in [
            *[(door, rate) for rate in rates for door in (DOORS if number % 2 == 0 else DOORS[::-1])],
            (Door.GATEWAY, 0),
        ]
    ]
    for number, door, rate in each(tell, steps, _step):
        if rate:
            report, kept = at_a_pace(door, rate, seconds=seconds, seed=number)
            runs.append(Run(round=number, door=door, per_second=rate, report=report))
        else:
            report, kept = flood(overload, overload_connections, seconds=min(seconds, 3.0), seed=number)
            flooded.append(report)
        on_disk += kept
    return Steady(
        rounds=rounds,
        seconds=seconds,
        paces=[pace(runs, door, rate) for rate in rates for door in DOORS],
        overload=_overload(flooded, overload, overload_connections),
        on_disk=on_disk,
    )


def _step(step: tuple[int, Door, int]) -> str:
    number, door, rate = step
    return f"round {number + 1}: {door}, {f'{rate:,} a second' if rate else 'overload'}"


def at_a_pace(door: Door, rate: int, *, seconds: float, seed: int) -> tuple[OpenReport, int]:
    """What came of it, and how many are on disk."""
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        OpenDoor(door, Path(folder) / "x") as one,
    ):
        report = one.at_a_rate(rate, seconds=seconds, connections=CONNECTIONS, drops=False, seed=seed)
        if report.unanswered or report.answered.keys() != {"202"}:
            raise Broken(f"{door} at {rate:,} a second answered {report.answered}, and {report.unanswered} not at all")
        one.kill_and_count()
        return report, one.on_disk


def flood(per_second: int, connections: int, *, seconds: float, seed: int) -> tuple[OpenReport, int]:
    """The gateway, beyond what it can do."""
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        OpenDoor(Door.GATEWAY, Path(folder) / "x", items=OVERLOAD_ITEMS) as one,
    ):
        report = one.at_a_rate(per_second, seconds=seconds, connections=connections, drops=True, seed=seed)
        if not report.answered.keys() <= ANSWERS:
            raise Broken(f"the gateway answered {report.answered} under overload")
        one.kill_and_count(exactly=False)
        return report, one.on_disk


def pace(runs: Sequence[Run], door: Door, per_second: int) -> Pace:
    """All rounds of a door at a rate."""
    own = [run.report.since_due for run in _rounds(runs, door, per_second)]
    bare = [run.report.since_due for run in _rounds(runs, Door.BARE, per_second)]
    return Pace(
        door=door,
        per_second=per_second,
        p50_ms=Spread.of([one.p50_ms for one in own]),
        p99_ms=Spread.of([one.p99_ms for one in own]),
        p999_ms=Spread.of([one.p999_ms for one in own]),
        worst_ms=Spread.of([one.worst_ms for one in own]),
        of_bare=Spread.of([one.p99_ms / other.p99_ms for one, other in zip(own, bare, strict=True)]),
        late_p99_ms=max(run.report.late_p99_ms for run in _rounds(runs, door, per_second)),
    )


def _rounds(runs: Sequence[Run], door: Door, per_second: int) -> list[Run]:
    """In their order."""
    return [run for run in runs if run.door is door and run.per_second == per_second]


def _overload(reports: Sequence[OpenReport], per_second: int, connections: int) -> Overload:
    answers: Counter[str] = Counter()
    for one in reports:
        answers.update(one.answered)
    return Overload(
        per_second=per_second,
        items=OVERLOAD_ITEMS,
        connections=connections,
        answers=dict(answers),
        unanswered=sum(one.unanswered for one in reports),
        dropped=sum(one.dropped for one in reports),
        slowest_s=Spread.of([one.slowest_s for one in reports]),
    )


def show(found: Steady, console: Console) -> None:
    """As a table."""
    title = f"Notifications at a steady pace, {found.rounds} rounds of {found.seconds:g} s: medians \\[range]"
    headings = ("a second", "door", "p50 ms", "p99 ms", "p99.9 ms", "worst ms", "p99 of bare")
    table = tables.with_headings(title, headings, left=("door",))
    for row in found.paces:
        table.add_row(
            f"{row.per_second:,}",
            row.door.value,
            tables.spread(row.p50_ms, ".2f"),
            tables.spread(row.p99_ms, ".2f"),
            tables.spread(row.p999_ms, ".1f"),
            tables.spread(row.worst_ms, ".1f"),
            tables.spread(row.of_bare, ".1f"),
            end_section=row.door is DOORS[-1],
        )
    console.print(table)
    late, over = max(row.late_p99_ms for row in found.paces), found.overload
    answers = ", ".join(f"{count:,} × {status}" for status, count in sorted(over.answers.items()))
    console.print(
        f"The generator itself was late by {late:.2f} ms at p99 at most{TOO_LATE if late > LATE_MS else ''}.\n"
        f"Overload, {over.per_second:,} requests a second of {over.items} notifications: {answers}; "
        f"{over.unanswered} without an answer, slowest {tables.spread(over.slowest_s, '.2f')} s; {over.dropped:,} were "
        f"not sent, as all {over.connections:,} connections waited.",
        highlight=False,
    )


def in_short(found: Steady) -> Figures:
    """By rate."""
    short: dict[str, figures.Figure] = {}
    for row in found.paces:
        if row.door is Door.GATEWAY:
            short |= {
                f"p99 of bare's, {row.per_second:,}/s": figures.times(row.of_bare, Better.LOWER),
                f"p50, {row.per_second:,}/s": figures.ms(row.p50_ms),
                f"p99, {row.per_second:,}/s": figures.ms(row.p99_ms),
                f"p99.9, {row.per_second:,}/s": figures.ms(row.p999_ms),
            }
    return {
        **short,
        "overload: slowest answer": figures.seconds(found.overload.slowest_s),
        "overload: without an answer": figures.count(found.overload.unanswered),
    }


def _lasts(given: Mapping[str, Any]) -> float:
    paced = len(DOORS) * len(given["rates"]) * (1.25 * given["seconds"] + 2)
    return given["rounds"] * (paced + 1.25 * min(given["seconds"], 3.0) + 6)


BENCHMARK: Final = Benchmark(
    name="steady",
    about="Graph's door at 1,000 and 3,000 a second, against the bare app; and beyond what it can do",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"seconds": SECONDS, "rounds": ROUNDS},
    quick={"seconds": 0.6, "rounds": 1},
)
