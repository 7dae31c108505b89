"""What the figures were measured on: the machine, its disk, and which processor runs what."""

import os
import platform
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.numbers import Latency

FLUSHES: Final = 100
PAGE: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The processors that server and client are bound to. None: wherever the system likes."""

    server: int | None
    client: int | None


def places() -> Places:
    """Apart, so that the client's work is not taken from the server's; where the system can do that."""
    if not hasattr(os, "sched_getaffinity"):
        return Places(server=None, client=None)
    usable = sorted(os.sched_getaffinity(0))
    return Places(server=usable[0], client=usable[1]) if len(usable) > 1 else Places(server=None, client=None)


def stay_on(processor: int | None) -> None:
    """Bind this process, and the threads it will start, to one processor."""
    if processor is not None:
        os.sched_setaffinity(0, {processor})


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts that a figure cannot be read without.

    `flush` is append and fsync of 4 KiB where the databases lay; `load` how many processes wanted a processor in the
    minute before the run: with neighbours, only ratios and processor times mean something.
    """

    system: str
    cores: int
    load: float
    python: str
    sqlite: str
    places: Places
    flush: Latency


def machine(folder: Path) -> Machine:
    """This one, and the disk that `folder` is on."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        load=os.getloadavg()[0],
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=sqlite3.sqlite_version,
        places=places(),
        flush=_flush(folder / "flush"),
    )


def _flush(path: Path) -> Latency:
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FLUSHES):
            began = time.perf_counter()
            file.write(bytes(PAGE))
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return Latency.of(took)
