"""Putting a backup back: checked before anything is touched, the old database kept, every open letter in doubt.

What the backup says of the mailboxes is old, so its letters are UNKNOWN before the file gets its place: that holds
whether or not the mark beside the database (`gateway/restored.py`) has survived. The log of events goes on at the
milliseconds since 1970, past all numbers that its readers can have seen, whatever was restored before.
"""

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import storage
from gateway.backups.checking import check_key, present, unpacked
from gateway.backups.errors import InTheWay
from gateway.backups.making import Watcher, silent
from gateway.backups.manifest import STAMP, Manifest
from gateway.clock import Clock
from gateway.master_key import sync_folder
from gateway.restored import Mark, take_note
from gateway.settings import Settings
from storage import copies
from storage.transaction import microseconds

BESIDE: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done. `aside` is where the old database lies now; `doubted` letters are looked for before they go on.

    `erased_since` are the receipts in the old database that are newer than the backup: what they removed is back.
    """

    manifest: Manifest
    aside: Path | None
    doubted: int
    schema_version: int
    erased_since: tuple[str, ...]


async def restore(
    path: Path, settings: Settings, clock: Clock, *, force: bool = False, watch: Watcher = silent
) -> Restored:
    """Put a backup in the place of the database; no gateway may run on it.

    Raises `storage.InUse`, `InTheWay` without `force`, and all that `verify` raises; then nothing has changed.
    """
    database = settings.database
    found = present(path)
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with storage.held_alone(database):
        if database.exists() and not force:
            raise InTheWay(
                f"There is a database at {database} already. With --force it is put aside, under another name, and the "
                "backup takes its place."
            )
        with unpacked(found, settings, watch) as (copied, manifest):
            check_key(copied, manifest, settings)
            erased_since = _erased_since(database, manifest.made_at)
            doubted = await _put_in_doubt(copied, Mark.written_beside(database), clock)
            aside = _put_in_place(copied, database, clock.now())
    return Restored(
        manifest=manifest,
        aside=aside,
        doubted=doubted,
        schema_version=copies.schema_version(database),
        erased_since=erased_since,
    )


async def _put_in_doubt(copied: Path, marked: int, clock: Clock) -> int:
    """Bring the tables up to this release, and put every open letter in doubt; how many those are."""
    now = clock.now()
    continue_from = max(marked, microseconds(now) // 1000)
    async with storage.open_store(copied) as store:
        return await store.write(take_note, continue_from, now=now)


def _erased_since(database: Path, made_at: datetime) -> tuple[str, ...]:
    """By the old database, if it can still be read."""
    if not database.exists():
        return ()
    try:
        return tuple(copies.erasures_since(database, made_at))
    except (sqlite3.DatabaseError, OSError):
        return ()


def _put_in_place(copied: Path, database: Path, now: datetime) -> Path | None:
    """From here on a crash leaves either the old database or the new one, and the old one under its other name."""
    aside = _put_aside(database, now) if database.exists() else None
    _forget_log(database)
    copies.settle(copied)
    _sync_file(copied)
    copied.replace(database)
    sync_folder(database.parent)
    return aside


def _put_aside(database: Path, now: datetime) -> Path:
    """A second name for the old file; its log goes with it where SQLite cannot write it into the file any more."""
    aside = _free_name(database, now)
    with contextlib.suppress(sqlite3.DatabaseError):
        copies.settle(database)
    for suffix in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            database.with_name(database.name + suffix).rename(aside.with_name(aside.name + suffix))
    os.link(database, aside)
    sync_folder(database.parent)
    return aside


def _free_name(database: Path, now: datetime) -> Path:
    taken: Sequence[Path] = sorted(database.parent.iterdir())
    name = f"{database.name}.before-{now.strftime(STAMP)}"
    while any(path.name == name for path in taken):
        name += "-again"
    return database.with_name(name)


def _forget_log(database: Path) -> None:
    """A log without its database: SQLite would write it into the new one."""
    for suffix in BESIDE:
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
