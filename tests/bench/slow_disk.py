"""Graph's door on a disk that takes its time: each commit costs 5 ms more.

The gateway and `one each` of `door_server`, each with an empty file, forwards in one round and backwards in the next.
What it shows is what the group commit is for: one transaction for each request then waits for the disk each time.
"""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, SECONDS, Benchmark, Tell, a_round, each, silent
from tests.bench.door_server import Door
from tests.bench.figures import Figures
from tests.bench.loads import Row, Run, ratio, row
from tests.bench.numbers import Spread
from tests.bench.open_door import OpenDoor

COMMIT_S: Final = 0.005
CONNECTIONS: Final = 64
DOORS: Final = (Door.GATEWAY, Door.ONE_EACH)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDisk:
    """`gain` is the throughput of `gateway` by that of `one each`. Of rows, `of_yardstick` is by `one each` too."""

    rounds: int
    seconds: float
    commit_s: float
    rows: tuple[Row, ...]
    gain: Spread
    on_disk: int


def measure(*, seconds: float = 2.0, rounds: int = 5, commit_s: float = COMMIT_S, tell: Tell = silent) -> SlowDisk:
    """Run it all. Raises `Broken` when an answer was not 202, or not true."""
    runs: list[Run] = []
    on_disk = 0
    for number in each(tell, range(rounds), a_round):
        with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder, ExitStack() as stack:
            doors = [
                stack.enter_context(OpenDoor(door, Path(folder) / door.name, commit_s=commit_s))
                for door in (DOORS if number % 2 == 0 else DOORS[::-1])
            ]
            assert all(door.ready for door in doors)  # all are up before the first is under load
            for door in doors:
                runs.append(door.under_load(CONNECTIONS, seconds=seconds, number=number))
                door.kill_and_count()
                on_disk += door.on_disk
    return SlowDisk(
        rounds=rounds,
        seconds=seconds,
        commit_s=commit_s,
        rows=tuple(row(runs, door, CONNECTIONS, yardstick=Door.ONE_EACH) for door in DOORS),
        gain=ratio(runs, Door.GATEWAY, Door.ONE_EACH, CONNECTIONS),
        on_disk=on_disk,
    )


def show(found: SlowDisk, console: Console) -> None:
    """As a table."""
    title = f"Each commit takes {found.commit_s * 1000:g} ms more, {found.rounds} rounds of {found.seconds:g} s"
    console.print(tables.loads(title, Door.ONE_EACH, found.rows))
    console.print(f"{found.on_disk:,} notifications answered, and on disk after kill -9.", highlight=False)


def in_short(found: SlowDisk) -> Figures:
    """The gain, and what it is a gain to."""
    return {
        f"of one each, {CONNECTIONS} connections": figures.times(found.gain),
        f"per second, {CONNECTIONS} connections": figures.per_second(found.rows[0].per_second),
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return given["rounds"] * 2 * (1.25 * given["seconds"] + 2)


BENCHMARK: Final = Benchmark(
    name="slow-disk",
    about="Graph's door when each commit takes 5 ms more; against one transaction for each request",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"seconds": SECONDS, "rounds": ROUNDS},
    quick={"seconds": 0.8, "rounds": 1},
)
