"""What is the whole process's and no account's: its file, its signs of life.

To watch something more, write a function of a `Place` and put it into `PROCESS_WIDE`. Pages, API and command line then
show it, and exit codes heed it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.alive import LONGEST_SILENCE
from gateway.backups.keeper import Standing
from gateway.console.stream import Stream, Trouble, judged, lasting, off, slow, stuck
from gateway.readiness import Part
from gateway.settings import Settings
from gateway.space import Room

PACE: Final = "notifications"  # how fast Microsoft 365 is answered tells how fast disk and event loop are
OURS: Final = frozenset({"store", "recovery", PACE})  # of readiness; the other parts are accounts'
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how the process runs. `parts` are what it knows of its readiness; `running_since` None: not known.

    `file_bytes` and `log_bytes` are how large the database and its write-ahead log are.
    """

    now: datetime
    settings: Settings
    parts: Sequence[Part]
    alive_at: datetime | None
    running_since: datetime | None
    file_bytes: int
    log_bytes: int
    room: Room
    backups: Standing


def look_around(
    settings: Settings,
    parts: Sequence[Part],
    *,
    alive_at: datetime | None,
    running_since: datetime | None,
    room: Room,
    backups: Standing,
    now: datetime,
) -> Place:
    """What can be seen at once."""
    path = settings.database
    return Place(
        now=now,
        settings=settings,
        parts=[one for one in parts if one.name in OURS],
        alive_at=alive_at,
        running_since=running_since,
        file_bytes=_size(path),
        log_bytes=_size(path.with_name(path.name + "-wal")),
        room=room,
        backups=backups,
    )


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def database(place: Place) -> Stream:
    """Whether anything can be written."""
    troubles: list[Trouble] = []
    for part in place.parts:
        if part.ok:
            continue
        if part.name == "store":
            cure = "Make room on its disk, or see to the disk; the gateway goes on by itself as soon as it can write."
            troubles.append(stuck(f"{part.detail} {cure}"))
        else:
            troubles.append(slow(part.detail))
    size = f"{(place.file_bytes + place.log_bytes) / MB:,.1f} MB"
    return judged(
        "database",
        "Database",
        well=f"It can be written, and takes {size}.",
        troubles=troubles,
        taken_at=place.now,
    )


def disk(place: Place) -> Stream:
    """Whether letters are taken, or there is too little room for them."""
    cure = "Make room on it, or enlarge it; the gateway goes on by itself."
    troubles = [stuck(f"{place.room.sentence} {cure}")] if place.room.is_low else []
    return judged("disk", "Disk", well=place.room.sentence, troubles=troubles, taken_at=place.now)


def backups(place: Place) -> Stream:
    """Whether there would be something to go back to. Letters leave without it all the same."""
    name, title, found = "backups", "Backups", place.backups
    if not found.wanted:
        return off(name, title, why=found.sentence, taken_at=place.now)
    age = found.age(place.now)
    is_old = age is None or age > 2 * place.settings.backup_interval
    troubles: list[Trouble] = []
    if found.has_failed:
        troubles.append(stuck(f"{found.sentence} It is tried again every quarter of an hour; see the log."))
    elif is_old:
        troubles.append(slow(f"{found.sentence} One is due every {lasting(place.settings.backup_interval)}."))
    return judged(name, title, well=found.sentence, troubles=troubles, taken_at=place.now)


def process(place: Place) -> Stream:
    """Whether the gateway lives: it gives a sign every few seconds."""
    name, title = "process", "Gateway"
    if place.alive_at is None and place.running_since is None:
        return off(name, title, why="No gateway has worked with this database yet.", taken_at=place.now)
    silence = timedelta(0) if place.alive_at is None else place.now - place.alive_at
    lost = f"The gateway has given no sign of life for {lasting(silence)}. Look whether it runs, and into its log."
    well = "The gateway gives signs of life."
    if place.running_since is not None:
        well = f"The gateway has been running for {lasting(place.now - place.running_since)}."
    well = " ".join([well, *(one.detail for one in place.parts if one.name == PACE)])
    troubles = [stuck(lost)] if silence > LONGEST_SILENCE else []
    return judged(name, title, well=well, troubles=troubles, taken_at=place.now)


PROCESS_WIDE: Final[Sequence[Callable[[Place], Stream]]] = (process, database, disk, backups)
