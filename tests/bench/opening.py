"""Rich notifications opened, against what OpenSSL itself decrypts with such a key, and how long the loop has to wait.

Each round runs `openssl speed` and then the opener, in a process of its own: one request at a time, and as many at once
as the gateway opens. A content brings 10 KiB, as a mail with long headers does; it is checked and decrypted, and its
JSON read.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from gateway.threads.opening import AT_ONCE
from subscriptions.rich import KEY_BITS
from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, SECONDS, Benchmark, Tell, a_round, each, silent
from tests.bench.figures import Figures
from tests.bench.numbers import Spread
from tests.bench.opening_worker import OpeningPlan, OpeningReport
from tests.bench.processes import Broken, Child

SIGNED: Final = re.compile(rf"rsa\s+{KEY_BITS} bits\s+\S+\s+\S+\s+([\d.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRow:
    """So many requests at a time. `of_processor` is in a second of processor time, as `openssl speed` counts, and
    `of_openssl` is that by OpenSSL's own. Pauses are of the loop.
    """

    at_once: int
    per_second: Spread
    of_processor: Spread
    of_openssl: Spread
    longest_pause_ms: Spread
    idle_pause_ms: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """`openssl` is what it decrypts in a second, which is what it signs."""

    rounds: int
    seconds: float
    content_bytes: int
    opened: int
    openssl: Spread
    rows: Sequence[OpeningRow]


def measure(*, seconds: float = 2.0, rounds: int = 5, tell: Tell = silent) -> Opening:
    """All rounds. Raises `Broken`."""
    yardsticks: list[float] = []
    found: dict[int, list[OpeningReport]] = {at_once: [] for at_once in sorted({1, AT_ONCE})}
    for _ in each(tell, range(rounds), a_round):
        yardsticks.append(openssl(seconds))
        for at_once, reports in found.items():
            with Child("tests.bench.opening_worker", OpeningPlan(at_once=at_once, seconds=seconds)) as child:
                reports.append(OpeningReport(**child.heard()))
    return Opening(
        rounds=rounds,
        seconds=seconds,
        content_bytes=found[1][0].content_bytes,
        opened=sum(one.opened for reports in found.values() for one in reports),
        openssl=Spread.of(yardsticks),
        rows=[_row(at_once, reports, yardsticks) for at_once, reports in found.items()],
    )


def _row(at_once: int, reports: Sequence[OpeningReport], yardsticks: Sequence[float]) -> OpeningRow:
    return OpeningRow(
        at_once=at_once,
        per_second=Spread.of([one.per_second for one in reports]),
        of_processor=Spread.of([one.of_processor for one in reports]),
        of_openssl=Spread.of([one.of_processor / by for one, by in zip(reports, yardsticks, strict=True)]),
        longest_pause_ms=Spread.of([one.longest_pause_ms for one in reports]),
        idle_pause_ms=Spread.of([one.idle_pause_ms for one in reports]),
    )


def openssl(seconds: float) -> float:
    """Private operations in a second, on one processor. Raises `Broken`."""
    command = ["openssl", "speed", "-seconds", str(max(1, round(seconds))), f"rsa{KEY_BITS}"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    found = SIGNED.search(said.stdout)
    if found is None:
        raise Broken(f"“{' '.join(command)}” told no figure")
    return float(found[1])


def show(found: Opening, console: Console) -> None:
    """As a table."""
    title = f"Contents of {found.content_bytes:,} bytes opened, {found.rounds} rounds of {found.seconds:g} s"
    headings = (
        "requests at once",
        "per second",
        "per s of processor",
        "of openssl",
        "longest pause of the loop, ms",
        "idle, ms",
    )
    table = tables.with_headings(f"{title}: medians \\[range]", headings)
    for row in found.rows:
        table.add_row(
            str(row.at_once),
            tables.spread(row.per_second, ",.0f"),
            tables.spread(row.of_processor, ",.0f"),
            tables.spread(row.of_openssl, ".2f"),
            tables.spread(row.longest_pause_ms, ".1f"),
            tables.spread(row.idle_pause_ms, ".1f"),
        )
    console.print(table)
    console.print(
        f"openssl speed: {tables.spread(found.openssl, ',.0f')} private operations per second on one processor; "
        f"{found.opened:,} contents opened, all of them whole.",
        highlight=False,
    )


def in_short(found: Opening) -> Figures:
    """With as many requests at once as the gateway opens."""
    most = found.rows[-1]
    return {
        "of openssl": figures.times(most.of_openssl),
        "per second": figures.per_second(most.per_second),
        "longest pause of the loop": figures.ms(most.longest_pause_ms),
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return given["rounds"] * (max(1, given["seconds"]) * 2 + 2 * (2.5 * given["seconds"] + 1))


BENCHMARK: Final = Benchmark(
    name="opening",
    about="rich notifications: what they bring decrypted; against openssl speed",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"seconds": SECONDS, "rounds": ROUNDS},
    quick={"seconds": 0.5, "rounds": 1},
)
