"""From the start of the process until the gateway is ready: with nothing in its file, and with a large school after
`kill -9` in the midst of work.

`bare`      Python that imports starlette and uvicorn, and ends: what no gateway on these can be quicker than
`first`     the very first start: the file, its tables and the key are made
`again`     the second start on that file
`killed`    a start on a school's file, which was killed while it took letters: SQLite reads its log first

Ready is when the work of the last run was taken up and requests are answered. Each round has all of them. On a busy
machine the seconds say little, and the seconds of processor time and the ratios still do.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, SCHOOL, Benchmark, Tell, a_round, each, silent
from tests.bench.corpus import MAILBOX, make
from tests.bench.figures import Better, Figures
from tests.bench.goals import STARTS as GOALS_S
from tests.bench.numbers import Spread
from tests.bench.processes import Broken
from tests.end_to_end.processes import Process, settings

LETTERS: Final = 100  # taken in before the kill
SMALL: Final = 1_000  # messages, where no school is given
BARE: Final = "import starlette.applications, uvicorn, uvicorn.protocols.http.httptools_impl, uvloop"
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One of them, in seconds: by the clock, and of processor time."""

    seconds: float
    processor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingRow:
    """One kind of start. `of_bare`: its processor time by the yardstick's. `log_mib`: what SQLite had to read."""

    kind: str
    seconds: Spread
    processor: Spread
    of_bare: Spread
    log_mib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """`messages` are in the school's file; `letters` were answered with 202 before the kills, and are all in it."""

    rounds: int
    messages: int
    letters: int
    rows: Sequence[StartingRow]


def measure(*, rounds: int = 5, school: Path | None = None, fresh: bool = True, tell: Tell = silent) -> Starting:
    """All rounds; `fresh`: with those on a new file.

    A `school` is worked on where it lies, and has some letters more in the end. Raises `Broken`.
    """
    found: dict[str, list[Start]] = {"bare": [], "first": [], "again": [], "killed": []}
    logs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder:
        path, key, messages = school_of(school, Path(folder))
        for number in each(tell, range(rounds), a_round):
            found["bare"].append(bare())
            if fresh:
                env = settings(Path(folder) / f"{number}")
                found["first"].append(start(env))
                found["again"].append(start(env))
            logs.append(kill_in_the_midst(path, key))
            found["killed"].append(start(env_of(path)))
        kept = letters_in(path)
    if kept < rounds * LETTERS:
        raise Broken(f"{rounds * LETTERS} letters were accepted and {kept} are there")
    return Starting(
        rounds=rounds,
        messages=messages,
        letters=rounds * LETTERS,
        rows=[
            _row(kind, starts, found["bare"], logs if kind == "killed" else ())
            for kind, starts in found.items()
            if starts
        ],
    )


def _row(kind: str, starts: Sequence[Start], bare: Sequence[Start], logs: Sequence[float]) -> StartingRow:
    return StartingRow(
        kind=kind,
        seconds=Spread.of([one.seconds for one in starts]),
        processor=Spread.of([one.processor for one in starts]),
        of_bare=Spread.of([one.processor / by.processor for one, by in zip(starts, bare, strict=True)]),
        log_mib=max(logs, default=None),
    )


def school_of(given: Path | None, folder: Path) -> tuple[Path, str, int]:
    """The file, a key, and how many messages are in it."""
    if given is None:
        made = make(folder / "school.db", messages=SMALL)
        return Path(made.path), made.key, made.messages
    told = orjson.loads(given.with_suffix(".json").read_bytes())
    return given, told["key"], told["messages"]


def env_of(database: Path) -> dict[str, str]:
    """Of a gateway on this file."""
    return settings(database.parent) | {"GATEWAY_DATABASE": str(database)}


def bare() -> Start:
    """The yardstick."""
    began, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, "-c", BARE], check=False)
    if done.returncode:
        raise Broken(f"“python -c {BARE!r}” ended with exit code {done.returncode}")
    after = os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return Start(seconds=time.perf_counter() - began, processor=worked)


def start(env: dict[str, str]) -> Start:
    """Until it is ready; then it is killed."""
    began = time.perf_counter()
    with Process("serve", env=env) as gateway:
        wait_until_ready(gateway)
        return Start(seconds=time.perf_counter() - began, processor=processor_s(gateway.pid))


def wait_until_ready(gateway: Process) -> str:
    """Recovered, and answering; its address."""
    listening = gateway.log_line("listening")
    gateway.log_line("recovered")
    url = f"http://127.0.0.1:{listening['port']}"
    if httpx.get(f"{url}/healthz", trust_env=False).status_code != httpx.codes.OK:
        raise Broken("the gateway does not say that it is alive")
    return url


def processor_s(pid: int) -> float:
    """How much a process has used until now (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def kill_in_the_midst(database: Path, key: str) -> float:
    """Let it take letters, and kill it; how long the log is that it leaves, in MiB."""
    headers = {"authorization": f"Bearer {key}"}
    student = {"address": "aroha@student.example"}
    letter: dict[str, Any] = {"from": MAILBOX, "to": [student], "subject": "Offer", "text": "Kia ora " * 200}
    letter["objects"] = [{"type": "student", "id": "S1000"}]
    with Process("serve", env=env_of(database)) as gateway:
        url = wait_until_ready(gateway)
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as selma:
            for _ in range(LETTERS):
                answer = selma.post("/v1/messages", json=letter)
                if answer.status_code != httpx.codes.ACCEPTED:
                    raise Broken(f"a letter was answered with {answer.status_code}: {answer.text}")
        gateway.kill()
    log = database.with_name(database.name + "-wal")
    return log.stat().st_size / 2**20 if log.exists() else 0.0


def letters_in(database: Path) -> int:
    """How many letters wait in the file."""
    with closing(sqlite3.connect(database)) as file:
        return int(file.execute("SELECT count(*) FROM outbox WHERE state != 'sent'").fetchone()[0])


def show(found: Starting, console: Console) -> None:
    """As a table."""
    title = f"{found.rounds} rounds; {found.messages:,} messages where it was killed: medians \\[range]"
    table = Table("start", "seconds until ready", "s of processor", "× bare", "goal, s", title=title)
    for row in found.rows:
        goal, log = GOALS_S.get(row.kind), f", a log of {row.log_mib:.1f} MiB" if row.log_mib is not None else ""
        table.add_row(
            row.kind + log,
            tables.spread(row.seconds, ".2f"),
            tables.spread(row.processor, ".2f"),
            tables.spread(row.of_bare, ".1f"),
            "" if goal is None else f"{goal:g}",
        )
    console.print(table)
    console.print(f"  {found.letters:,} letters were accepted before the kills, and all are there.", highlight=False)


def in_short(found: Starting) -> Figures:
    """By kind of start."""
    ours = [row for row in found.rows if row.kind != "bare"]
    return {
        **{f"{row.kind}: start to ready": figures.seconds(row.seconds) for row in ours},
        **{f"{row.kind}: processor time of bare": figures.times(row.of_bare, Better.LOWER) for row in ours},
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return 1 + 6 * given["rounds"]


BENCHMARK: Final = Benchmark(
    name="starting",
    about="from the start of the process until the gateway is ready; against bare imports",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"rounds": ROUNDS, "school": SCHOOL},
    quick={"rounds": 1},
)
