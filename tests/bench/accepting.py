"""Letters accepted: checked, on disk (`synchronous=FULL`), answered; against the same routes that commit nothing.

`no commit`   the gateway with the API of `uncommitted`
`waiting`     the gateway as it is, and letters that are due in an hour: the worker runs and has nothing to send
`sending`     the same with letters that are due at once: the worker sends what is there while more come

Each measurement has a gateway of its own with an empty file and workers running, connected to a sandbox of its own;
each round has all of them, forwards in one round and backwards in the next, and a ratio compares two measurements of
one round. After its load a gateway is killed with SIGKILL, and the file must hold exactly one letter for each 202.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from rich.console import Console

from gateway.clock import SystemClock
from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, SECONDS, Benchmark, Tell, each, silent
from tests.bench.figures import Figures
from tests.bench.gateway_server import plan_for
from tests.bench.host import letter
from tests.bench.load import KEY_MARK, LoadPlan
from tests.bench.loads import Row, Run, drive, row
from tests.bench.machine import places
from tests.bench.processes import Broken, Child
from tests.bench.sandbox_server import SandboxPlan

CONNECTIONS: Final = (1, 16, 64)
NOT_YET: Final = timedelta(hours=1)

KEPT: Final = """
SELECT (SELECT count(*) FROM outbox),
       (SELECT count(*) FROM idempotency_keys JOIN outbox USING (message_id) JOIN messages ON messages.id = message_id)
"""


class Door(StrEnum):
    """See above."""

    NO_COMMIT = "no commit"
    WAITING = "waiting"
    SENDING = "sending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """`answered` and `on_disk` are over both doors that keep something, and equal."""

    rounds: int
    seconds: float
    body_bytes: int
    rows: Sequence[Row]
    answered: int
    on_disk: int


def measure(
    *, seconds: float = 2.0, rounds: int = 5, connections: Sequence[int] = CONNECTIONS, tell: Tell = silent
) -> Accepting:
    """Run it all. Raises `Broken` when an answer was not 202, or not true."""
    steps = [
        (number, count, door)
        for number in range(rounds)
        for count in connections
        for door in (list(Door) if number % 2 == 0 else list(Door)[::-1])
    ]
    runs = [under_load(door, count, seconds=seconds, number=number) for number, count, door in each(tell, steps, _step)]
    answered = sum(run.load.answered for run in runs if run.door is not Door.NO_COMMIT)
    return Accepting(
        rounds=rounds,
        seconds=seconds,
        body_bytes=max(run.load.body_bytes for run in runs),
        rows=[row(runs, door, count, yardstick=Door.NO_COMMIT) for count in connections for door in Door],
        answered=answered,
        on_disk=answered,
    )


def _step(step: tuple[int, int, Door]) -> str:
    number, count, door = step
    return f"round {number + 1}: {door}, connections: {count}"


def under_load(door: Door, connections: int, *, seconds: float, number: int) -> Run:
    """Post for so long in this round, after a warm-up of a quarter; kill, and count."""
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        Child("tests.bench.sandbox_server", SandboxPlan(processor=places().client, more_mailboxes=1)) as sandbox,
    ):
        microsoft = sandbox.heard()
        [mailbox], student = microsoft["more_mailboxes"], microsoft["quiet_students"][0]
        plan = plan_for(microsoft, Path(folder), mailboxes=[mailbox], commits=door is not Door.NO_COMMIT)
        with Child("tests.bench.gateway_server", plan) as server:
            ready = server.heard()
            load = LoadPlan(
                port=urlsplit(ready["url"]).port or 0,
                path="/v1/messages",
                headers={"Authorization": f"Bearer {ready['key']}", "Idempotency-Key": KEY_MARK.decode()},
                body=_body(door, mailbox, student),
                first=0,
                connections=connections,
                warm_up_s=seconds / 4,
                seconds=seconds,
                processor=places().client,
            )
            run = drive(server, load, door=door, number=number)
            server.kill()
        expected = 0 if door is Door.NO_COMMIT else run.load.answered
        letters, keys = kept(Path(folder))
    if not letters == keys == expected:
        raise Broken(f"{door}: {expected} answered, {letters} letters on disk with {keys} keys")
    return run


def kept(folder: Path) -> tuple[int, int]:
    """How many letters are in the file, and how many that a key of its own leads to."""
    with contextlib.closing(sqlite3.connect(folder / "gateway.db")) as connection:
        letters, keys = connection.execute(KEPT).fetchone()
    return letters, keys


def _body(door: Door, mailbox: str, student: Mapping[str, Any]) -> str:
    due = None if door is Door.SENDING else SystemClock().now() + NOT_YET
    return orjson.dumps(letter(KEY_MARK.decode(), mailbox=mailbox, student=student, send_at=due)).decode()


def show(found: Accepting, console: Console) -> None:
    """As a table."""
    title = f"Letters of {found.body_bytes} bytes accepted, {found.rounds} rounds of {found.seconds:g} s"
    console.print(tables.loads(title, "no commit", found.rows))
    console.print(
        f"{found.answered:,} letters answered with 202, {found.on_disk:,} on disk after kill -9; "
        f"{tables.client_busy(found.rows)}",
        highlight=False,
    )


def in_short(found: Accepting) -> Figures:
    """By what the worker does, and number of connections."""
    ours = [one for one in found.rows if one.door is not Door.NO_COMMIT]
    return {
        **{f"{one.door}: of no commit, {one.connections} connections": figures.times(one.of_yardstick) for one in ours},
        **{f"{one.door}: p99, {one.connections} connections": figures.ms(one.p99_ms) for one in found.rows},
        **{
            f"{one.door}: per second, {one.connections} connections": figures.per_second(one.per_second) for one in ours
        },
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return given["rounds"] * 3 * len(given["connections"]) * (1.25 * given["seconds"] + 2.2)


BENCHMARK: Final = Benchmark(
    name="accepting",
    about="letters: checked, on disk, answered; against the same routes that commit nothing",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"seconds": SECONDS, "rounds": ROUNDS},
    quick={"seconds": 0.8, "rounds": 1, "connections": (16, 64)},
)
