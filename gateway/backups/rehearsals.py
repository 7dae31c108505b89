"""A rehearsal: the newest backup is unpacked and checked as a restore would do it, and that is written down."""

import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import orjson

import storage
from gateway.backups.checking import verify
from gateway.backups.errors import Damaged
from gateway.backups.making import Watcher, silent
from gateway.backups.scratch import OWNER_ONLY
from gateway.backups.shelf import Shelf
from gateway.settings import Settings

log = logging.getLogger(__name__)

REPORT: Final = "rehearsal.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """When, of which backup, and the sentence that says what is wrong; None when it would have been restored.

    `opened` is False when it is encrypted and no identity was at hand: then only the checksum of the file is known.
    """

    at: datetime
    backup: str
    opened: bool
    problem: str | None

    @classmethod
    def from_json(cls, said: Any) -> Self:
        """Raises `ValueError`, `KeyError`, `TypeError`."""
        at = datetime.fromisoformat(said["at"]).astimezone(UTC)
        return cls(at=at, backup=str(said["backup"]), opened=bool(said["opened"]), problem=said["problem"])


def rehearse(shelf: Shelf, settings: Settings, now: datetime, watch: Watcher = silent) -> Rehearsal:
    """Check the newest backup and write down what was found. Blocks. Raises `Damaged` when there is no backup."""
    newest = next(iter(shelf.backups()), None)
    if newest is None:
        raise Damaged(f"There is no backup in {shelf.folder} to rehearse with.")
    opened, problem = False, None
    try:
        opened = verify(newest.path, settings, watch).opened
    except (storage.StorageError, OSError) as error:
        problem = str(error)
    found = Rehearsal(at=now, backup=newest.path.name, opened=opened, problem=problem)
    _write_down(shelf, found)
    return found


def last(shelf: Shelf) -> Rehearsal | None:
    """The last one that was written down."""
    try:
        return Rehearsal.from_json(orjson.loads((shelf.folder / REPORT).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_down(shelf: Shelf, found: Rehearsal) -> None:
    path = shelf.folder / REPORT
    beside = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb") as file:
            file.write(orjson.dumps(found, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2))
        beside.replace(path)
    except OSError as error:
        log.warning("rehearsal not written down", extra={"error": type(error).__name__})
