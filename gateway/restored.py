"""Noticing that the database was put back from a backup, so that no letter is sent twice from what it remembers.

Beside the database lies a small file, its mark, with the number of the newest event. The log of events only grows; a
database whose log is shorter than its mark is older than what has happened. Then every letter that is not over is
looked for in its mailbox before anything else is done with it. The mark is no part of a backup: it stays where it is.
"""

import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from gateway.clock import Clock
from gateway.sending.commits import doubt_all
from storage import Store, Transaction, accounts, events

log = logging.getLogger(__name__)

SUFFIX: Final = ".mark"


class Mark:
    """The mark of one database."""

    def __init__(self, database: Path, store: Store, clock: Clock) -> None:
        self._path = _mark_of(database)
        self._store = store
        self._clock = clock
        self._written: int | None = None

    @staticmethod
    def written_beside(database: Path) -> int:
        """The number of the newest event by the mark of this database; 0 where there is none that can be read."""
        return _read(_mark_of(database))

    async def look(self) -> bool:
        """At start: whether the database is older than its mark; if so, its open letters are in doubt from here on."""
        newest = await self._store.read(events.newest)
        marked = _read(self._path)
        if marked <= newest:
            return False
        doubted = await self._store.write(take_note, marked, now=self._clock.now())
        log.warning(
            "the database was restored from a backup: open letters are looked for before they are sent",
            extra={"letters": doubted, "events_missing": marked - newest},
        )
        return True

    async def keep(self) -> None:
        """Write down how far the log has come. Trouble with the file is no trouble with letters: it is only logged."""
        newest = await self._store.read(events.newest)
        if newest == self._written:
            return
        try:
            self._write(newest)
        except OSError as error:
            log.warning("mark not written", extra={"error": type(error).__name__})
            return
        self._written = newest

    def _write(self, newest: int) -> None:
        """Whole or not at all."""
        beside = self._path.with_name(self._path.name + ".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o600), "wb") as file:
            file.write(orjson.dumps({"newest_event": newest}))
        beside.replace(self._path)


def take_note(tx: Transaction, marked: int, *, now: datetime) -> int:
    """Doubt the letters, tell SELMA, and go on numbering events where readers of the log have been already."""
    events.continue_from(tx, marked)
    for account in accounts.all_of_them(tx):
        events.record(tx, account.id, "gateway.restored", now=now)
    return doubt_all(tx, now=now)


def _mark_of(database: Path) -> Path:
    return database.with_name(database.name + SUFFIX)


def _read(mark: Path) -> int:
    try:
        return int(orjson.loads(mark.read_bytes())["newest_event"])
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("the mark beside the database cannot be read; whether it was restored is not known")
        return 0
