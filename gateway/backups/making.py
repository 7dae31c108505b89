"""A new backup, whole or not at all.

First the database is copied beside itself, page by page under one read transaction: that is the moment which the backup
shows. The copy is looked over and packed into the folder under a name that is no backup's; on disk to the last byte, it
gets its name. The manifest beside it is there before it, so that what has a backup's name is a whole one.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Self

from gateway import __version__
from gateway.backups.errors import NoRoom, NotMade
from gateway.backups.manifest import PART, Beside, Manifest, Reason, file_name
from gateway.backups.packing import checksum, pack
from gateway.backups.scratch import OWNER_ONLY, alone, copy_of
from gateway.backups.shelf import Backup, Shelf, beside
from gateway.master_key import sync_folder
from gateway.settings import Settings
from storage import copies

RESERVE: Final = 64 * 1024 * 1024  # bytes that the gateway itself goes on with, where nothing is kept free

Watcher = Callable[[str, int, int], None]
"""Hears of what is done, how much of it, and of how much; what it raises ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be backed up, where to, for whom and why. No `recipients`: not encrypted.

    `reserve_bytes` are left free on the database's disk while the copy lies there.
    """

    database: Path
    shelf: Shelf
    recipients: tuple[str, ...]
    reason: Reason
    reserve_bytes: int

    @classmethod
    def of(cls, settings: Settings, reason: Reason, shelf: Shelf | None = None) -> Self:
        """As the settings say. What is kept free for letters stays free."""
        return cls(
            database=settings.database,
            shelf=shelf or Shelf.of(settings),
            recipients=settings.backup_recipients,
            reason=reason,
            reserve_bytes=max(RESERVE, settings.wanted_free_space),
        )


def silent(what: str, done: int, total: int) -> None:
    """Nobody watches."""


def make(order: Order, now: datetime, watch: Watcher = silent) -> Backup:
    """Make a backup of the database while others use it. Blocks: call it in a thread.

    Raises `NoRoom` before it begins, `UnderWay`, `NotMade`; then nothing of it is left.
    """
    try:
        order.shelf.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(order.database), copy_of(order.database) as copied:
            order.shelf.sweep()
            check_room(order)
            manifest = _copy(order, copied, now, watch)
            return _write(order, copied, manifest, watch)
    except (OSError, sqlite3.DatabaseError) as error:
        raise NotMade(f"The backup could not be made: {error}. Nothing of it is left.") from error


def check_room(order: Order) -> None:
    """Raises `NoRoom` unless a copy of the database and a backup that is as large would both fit."""
    size = copies.size_bytes(order.database)
    needed: dict[int, tuple[Path, int]] = {}
    for folder, reserve in ((order.database.parent, order.reserve_bytes), (order.shelf.folder, 0)):
        device = folder.stat().st_dev
        _, so_far = needed.get(device, (folder, 0))
        needed[device] = (folder, so_far + size + reserve)
    for folder, bytes_needed in needed.values():
        free = shutil.disk_usage(folder).free
        if free < bytes_needed:
            raise NoRoom(
                f"The disk of {folder} is too full for a backup: {_mb(bytes_needed)} are needed for the time being, "
                f"{_mb(free)} are free. Make room, or set GATEWAY_BACKUPS to a folder on another disk."
            )


def _copy(order: Order, copied: Path, now: datetime, watch: Watcher) -> Manifest:
    copies.copy(order.database, copied, lambda done, total: watch("copying", done, total))
    if faults := copies.faults(copied, quick=True):
        raise NotMade(f"The database is damaged, so no backup of it is worth keeping: {'; '.join(faults)}.")
    found, size = copies.contents(copied), copied.stat().st_size
    return Manifest(
        made_at=now,
        reason=order.reason,
        gateway=__version__,
        schema_version=found.schema_version,
        rows=found.rows,
        key_id=found.key_id,
        database_bytes=size,
        database_sha256=checksum(copied, lambda done: watch("checking", done, size)),
    )


def _write(order: Order, copied: Path, manifest: Manifest, watch: Watcher) -> Backup:
    path = _free_name(order, manifest)
    parts = {path: path.with_name(path.name + PART), beside(path): beside(path).with_name(beside(path).name + PART)}
    try:
        with _created(parts[path]) as file:
            written = pack(
                copied, file, manifest, order.recipients, lambda done: watch("packing", done, manifest.database_bytes)
            )
        said = Beside(manifest=manifest, file_bytes=written.bytes, file_sha256=written.digest.hexdigest())
        with _created(parts[beside(path)]) as file:
            file.write(said.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        parts[beside(path)].replace(beside(path))
        parts[path].replace(path)
        sync_folder(path.parent)
    except BaseException:
        for one in (*parts.values(), path, beside(path)):
            one.unlink(missing_ok=True)
        raise
    return Backup(path=path, file_bytes=said.file_bytes, beside=said)


def _free_name(order: Order, manifest: Manifest) -> Path:
    for number in range(1, 1000):
        name = file_name(manifest.made_at, order.reason, encrypted=bool(order.recipients), number=number)
        if not (order.shelf.folder / name).exists():
            return order.shelf.folder / name
    raise NotMade("There are a thousand backups of this second. Look at the machine's clock.")


def _created(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb")


def _mb(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"
