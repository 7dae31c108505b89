"""The machine: versions, time zones, memory, open files, and its clock."""

import platform
import sqlite3
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.doctor.patient import Patient, Skipped, bad, doubtful, well
from gateway.patience import FILES_FOR_OTHERS, Patience
from gateway.setup.report import Check
from storage import examine

PYTHON: Final = (3, 11)
SQLITE: Final = (3, 38, 0)  # STRICT tables came with 3.37, `unixepoch` and JSON in all builds with 3.38
ZONE: Final = "Pacific/Auckland"
MIB: Final = 1024 * 1024
WANTED_MEMORY: Final = 256 * MIB  # bytes: it takes about 100 MiB, and large letters and exports some more
STEPPED: Final = timedelta(milliseconds=500)
AHEAD: Final = timedelta(minutes=2)
CGROUP: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MEMINFO: Final = Path("/proc/meminfo")


def settings(patient: Patient) -> Check:
    """All of them can be read, and none is misspelt."""
    tried = "Read the GATEWAY_ variables of the environment."
    if patient.problems:
        cure = "Correct them; the README lists the settings. What follows was looked at with the defaults for these."
        return bad("settings", tried, " ".join(patient.problems), cure)
    given = sum(name.startswith("GATEWAY_") for name in patient.env)
    return well("settings", tried, f"All {given} that are given can be read.")


def versions(patient: Patient) -> Check:
    """Of Python and SQLite."""
    tried, found = "Looked at the versions.", f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}."
    if sys.version_info < PYTHON:
        return bad("versions", tried, found, f"Install Python {PYTHON[0]}.{PYTHON[1]} or newer.")
    if sqlite3.sqlite_version_info < SQLITE:
        return bad("versions", tried, found, f"Use a Python with SQLite {'.'.join(map(str, SQLITE))} or newer.")
    with sqlite3.connect(":memory:") as file:
        options = {str(row[0]) for row in file.execute("PRAGMA compile_options")}
    if "ENABLE_FTS5" not in options:
        return bad("versions", tried, f"{found} SQLite has no FTS5.", "Use a Python whose SQLite has FTS5, for search.")
    return well("versions", tried, found)


def time_zones(patient: Patient) -> Check:
    """The data of the tz database is there."""
    tried = f"Looked for the time zone {ZONE}."
    try:
        ZoneInfo(ZONE)
    except ZoneInfoNotFoundError:
        cure = "Install the system's tzdata, or the Python package tzdata."
        return bad("time zones", tried, "There is no time zone data: daily tests and dates cannot be told.", cure)
    return well("time zones", tried, "It is known.")


def open_files(patient: Patient) -> Check:
    """As many as the connections need."""
    if sys.platform == "win32":
        raise Skipped("This system has no such limit.")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted, tried = Patience().connections + FILES_FOR_OTHERS, "Looked at how many files a process may open."
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return well("open files", tried, "As many as it needs.")
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return well("open files", tried, f"{soft:,}, which the gateway may raise to {wanted:,} itself.")
    cure = f"Raise the hard limit to {wanted:,} (systemd: LimitNOFILE={wanted})."
    return doubtful("open files", tried, f"{hard:,} at most: fewer connections are taken for it.", cure)


def memory(patient: Patient) -> Check:
    """Of the machine, and of the container if there is one."""
    tried, free = "Looked at how much memory is to be had.", available_memory()
    if free is None:
        raise Skipped("This system does not say how much memory is free.")
    found = f"{free // MIB:,} MiB."
    if free >= WANTED_MEMORY:
        return well("memory", tried, found)
    cure = f"Give it {WANTED_MEMORY // MIB} MiB at least, or the system may end the gateway in the midst of its work."
    return doubtful("memory", tried, found, cure)


def available_memory() -> int | None:
    """Bytes: what the machine has free, and no more than the container may take. None where it is not said."""
    found: list[int] = []
    try:
        lines = MEMINFO.read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        pass
    for path in CGROUP:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            found.append(int(text))
    return min(found, default=None)


def clock(patient: Patient) -> Check:
    """It goes as the monotonic one does, and not behind what it showed before."""
    tried = "Compared the wall clock with the monotonic one, and with the time of the last event."
    now, began = patient.clock.now(), patient.monotonic()
    newest = _last_event(patient)
    stepped = (patient.clock.now() - now) - timedelta(seconds=patient.monotonic() - began)
    if newest is not None and newest - now > AHEAD:
        return bad(
            "clock",
            tried,
            f"It is {now:%Y-%m-%d %H:%M} UTC here, and the last event was recorded at {newest:%Y-%m-%d %H:%M} UTC.",
            "Let the machine keep time by NTP. If the clock was ahead before, this ends when that time has come.",
        )
    if abs(stepped) > STEPPED:
        cure = "Let NTP slew the clock and not set it; in a virtual machine let one of host and guest keep time."
        return doubtful("clock", tried, f"It was set by {stepped.total_seconds():.1f} s while this was read.", cure)
    return well("clock", tried, f"They agree; it is {now:%Y-%m-%d %H:%M:%S} UTC.")


def _last_event(patient: Patient) -> datetime | None:
    try:
        with examine.looked_at(patient.database) as tx:
            return examine.newest_event(tx)
    except sqlite3.Error:
        return None
