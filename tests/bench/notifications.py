"""Graph's door: notifications checked, on disk and answered, against an app that only parses and answers.

Each round starts the doors of `door_server` afresh, with empty files, and drives them in turn at each number of
connections, forwards in one round and backwards in the next; a ratio compares two measurements of one round. After
its last load a door is killed with SIGKILL, and the file must hold exactly one hint for each 202, none twice.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from subscriptions.addresses import NOTIFICATIONS
from tests.bench.door_server import Door, DoorPlan, DoorReady, kept, notification
from tests.bench.load import LoadPlan
from tests.bench.loads import Row, Run, drive, ratio, row
from tests.bench.machine import places
from tests.bench.numbers import Spread
from tests.bench.processes import Broken, Child
from tests.bench.serving import Engine

CONNECTIONS: Final = (1, 16, 64)
ROUNDS: Final = 5
SECONDS: Final = 2.0
MOST_IN_A_ROUND: Final = 100_000_000  # numbers of messages, so that rounds have none in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """`gain` is the throughput of `gateway` by that of `one each`: what the group commit brings.

    `answered` and `on_disk` are over both doors that keep something, and equal.
    """

    rounds: int
    seconds: float
    body_bytes: int
    engine: Engine
    rows: Sequence[Row]
    gain: dict[int, Spread]
    answered: int
    on_disk: int


class OpenDoor:
    """A door that is served, and what has been answered at it."""

    def __init__(self, door: Door, folder: Path, *, first: int) -> None:
        folder.mkdir()
        self.door = door
        self.answered = 0
        self.on_disk = 0
        self._folder = folder
        self._next = first
        self._server = Child(
            "tests.bench.door_server", DoorPlan(door=door, folder=str(folder), processor=places().server)
        )

    @cached_property
    def ready(self) -> DoorReady:
        """Wait until it listens; so several can start at the same time."""
        said = self._server.heard()
        return DoorReady(port=said["port"], engine=Engine(**said["engine"]))

    def under_load(self, connections: int, *, seconds: float, number: int) -> Run:
        """Drive it for so long in this round, after a warm-up of a quarter. Raises `Broken` on any answer but 202."""
        plan = LoadPlan(
            port=self.ready.port,
            path=NOTIFICATIONS,
            headers={},
            body=notification(),
            first=self._next,
            connections=connections,
            warm_up_s=seconds / 4,
            seconds=seconds,
            processor=places().client,
        )
        run = drive(self._server, plan, door=self.door, number=number)
        self.answered += run.load.answered
        self._next += run.load.answered
        return run

    def kill_and_count(self) -> None:
        """Raises `Broken` when a 202 is not on disk, or anything else is."""
        self._server.kill()
        if self.door is Door.BARE:
            return
        rows, messages = kept(self._folder)
        if not rows == messages == self.answered:
            raise Broken(f"{self.door}: {self.answered} answered, {rows} rows on disk of {messages} messages")
        self.on_disk = rows

    def __enter__(self) -> "OpenDoor":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()


def measure(
    *, seconds: float = SECONDS, rounds: int = ROUNDS, connections: Sequence[int] = CONNECTIONS
) -> Notifications:
    """Run it all. Raises `Broken` when an answer was not 202, or not true."""
    runs: list[Run] = []
    answered = on_disk = 0
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder, ExitStack() as stack:
            doors = [
                stack.enter_context(OpenDoor(door, Path(folder) / door.name, first=number * MOST_IN_A_ROUND))
                for door in Door
            ]
            engines = {door.ready.engine for door in doors}  # all are up before the first is under load
            for count in connections:
                for door in doors if number % 2 == 0 else doors[::-1]:
                    runs.append(door.under_load(count, seconds=seconds, number=number))
            for door in doors:
                door.kill_and_count()
            answered += sum(door.answered for door in doors if door.door is not Door.BARE)
            on_disk += sum(door.on_disk for door in doors)
    [engine] = engines
    return Notifications(
        rounds=rounds,
        seconds=seconds,
        body_bytes=runs[0].load.body_bytes,
        engine=engine,
        rows=[row(runs, door, count, yardstick=Door.BARE) for count in connections for door in Door],
        gain={count: ratio(runs, Door.GATEWAY, Door.ONE_EACH, count) for count in connections},
        answered=answered,
        on_disk=on_disk,
    )
