"""Graph's door: notifications checked, on disk and answered, against an app that only parses and answers.

Each round starts the doors of `door_server` afresh, with empty files, and drives them in turn at each number of
connections, forwards in one round and backwards in the next; a ratio compares two measurements of one round. After
its last load a door is killed with SIGKILL, and the file must hold exactly one hint for each 202, none twice.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, SECONDS, Benchmark, Tell, each, silent
from tests.bench.door_server import Door
from tests.bench.figures import Figures
from tests.bench.loads import Row, Run, ratio, row
from tests.bench.numbers import Spread
from tests.bench.open_door import OpenDoor
from tests.bench.serving import Engine

CONNECTIONS: Final = (1, 16, 64)
MOST_IN_A_ROUND: Final = 100_000_000  # numbers of messages, so that rounds have none in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """`gain` is the throughput of `gateway` by that of `one each`: what the group commit brings.

    `answered` and `on_disk` are over both doors that keep something, and equal. `peak_mb` is the gateway's memory.
    """

    rounds: int
    seconds: float
    body_bytes: int
    engine: Engine
    rows: Sequence[Row]
    gain: dict[int, Spread]
    answered: int
    on_disk: int
    peak_mb: Spread | None


def measure(
    *, seconds: float = 2.0, rounds: int = 5, connections: Sequence[int] = CONNECTIONS, tell: Tell = silent
) -> Notifications:
    """Run it all. Raises `Broken` when an answer was not 202, or not true."""
    runs: list[Run] = []
    engines: set[Engine] = set()
    closed: list[OpenDoor] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder, ExitStack() as stack:
            doors = [
                stack.enter_context(OpenDoor(door, Path(folder) / door.name, first=number * MOST_IN_A_ROUND))
                for door in Door
            ]
            engines |= {door.ready.engine for door in doors}  # all are up before the first is under load
            order = doors if number % 2 == 0 else doors[::-1]
            steps = [(number, count, door) for count in connections for door in order]
            for _, count, door in each(tell, steps, _step, before=number * len(steps), of=rounds * len(steps)):
                runs.append(door.under_load(count, seconds=seconds, number=number))
            for door in doors:
                door.kill_and_count()
            closed += [door for door in doors if door.door is not Door.BARE]
    [engine] = engines
    return Notifications(
        rounds=rounds,
        seconds=seconds,
        body_bytes=runs[0].load.body_bytes,
        engine=engine,
        rows=[row(runs, door, count, yardstick=Door.BARE) for count in connections for door in Door],
        gain={count: ratio(runs, Door.GATEWAY, Door.ONE_EACH, count) for count in connections},
        answered=sum(door.answered for door in closed),
        on_disk=sum(door.on_disk for door in closed),
        peak_mb=Spread.of_known([door.peak_mb for door in closed if door.door is Door.GATEWAY]),
    )


def _step(step: tuple[int, int, OpenDoor]) -> str:
    number, count, door = step
    return f"round {number + 1}: {door.door}, connections: {count}"


def show(found: Notifications, console: Console) -> None:
    """As tables."""
    title = f"Notifications of {found.body_bytes} bytes, {found.rounds} rounds of {found.seconds:g} s"
    console.print(tables.loads(title, "bare", found.rows))
    gains = ", ".join(f"{tables.spread(gain, '.1f')} × at {count}" for count, gain in found.gain.items())
    console.print(
        f"The group commit brings {gains} connections what a transaction for each request does.\n"
        f"{found.answered:,} notifications answered with 202, {found.on_disk:,} on disk after kill -9.\n"
        f"HTTP by {found.engine.http}, loop by {found.engine.loop}; {tables.client_busy(found.rows)}",
        highlight=False,
    )


def in_short(found: Notifications) -> Figures:
    """By number of connections."""
    gateway = [one for one in found.rows if one.door is Door.GATEWAY]
    return {
        **{f"of bare, {one.connections} connections": figures.times(one.of_yardstick) for one in gateway},
        **{f"of one each, {count} connections": figures.times(gain) for count, gain in found.gain.items()},
        **{f"per second, {one.connections} connections": figures.per_second(one.per_second) for one in gateway},
        **({} if found.peak_mb is None else {"memory at most": figures.megabytes(found.peak_mb)}),
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return given["rounds"] * (4 + 3 * len(given["connections"]) * (1.25 * given["seconds"] + 0.5))


BENCHMARK: Final = Benchmark(
    name="notifications",
    about="Graph's door: checked, on disk, answered; against an app that only parses",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"seconds": SECONDS, "rounds": ROUNDS},
    quick={"seconds": 0.5, "rounds": 1, "connections": (1, 64)},
)
