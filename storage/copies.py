"""A copy of the file while others write in it, and what is to be known of a copy before it is trusted."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from storage import vault
from storage.connections import BUSY_TIMEOUT_S
from storage.transaction import microseconds
from storage.vault import MasterKey

STEP_PAGES: Final = 256  # 1 MiB: a pause for the watcher, who may end it, after each
FINDINGS: Final = 20
SCHEMA_VERSION: Final = "PRAGMA user_version"
TABLES: Final = """
SELECT name FROM pragma_table_list
 WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name
"""
PAGES: Final = "PRAGMA page_count"
HOLD_SNAPSHOT: Final = "SELECT count(*) FROM sqlite_schema"
ERASURES_SINCE: Final = "SELECT id FROM erasures WHERE created_at >= :moment ORDER BY created_at, id"
EMPTY_LOG: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
STRAYS: Final = "PRAGMA foreign_key_check"

Watcher = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a copy says of itself: rows by table, and which master key it was sealed with (None: with none yet)."""

    schema_version: int
    rows: Mapping[str, int]
    key_id: str | None


def copy(source: Path, target: Path, watch: Watcher = lambda done, total: None) -> None:
    """Copy the file as it is at this moment, page by page, while others read and write it.

    One read transaction holds the moment, so that writers neither wait nor make it begin again; the log grows.
    `watch` hears of the pages done and of all; what it raises ends the copying. Raises `sqlite3.DatabaseError`.
    """
    with (
        closing(_beside(source)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        # A torn copy is thrown away, so nothing is gained by syncing it page by page.
        writing.execute("PRAGMA synchronous = OFF")
        reading.execute("BEGIN")
        reading.execute(HOLD_SNAPSHOT)
        watch(0, int(reading.execute(PAGES).fetchone()[0]))
        reading.backup(writing, pages=STEP_PAGES, progress=lambda _, left, total: watch(total - left, total))


def schema_version(path: Path) -> int:
    """Of a file that others may be using. Raises `sqlite3.DatabaseError` when it is no database."""
    with closing(_beside(path)) as connection:
        return int(connection.execute(SCHEMA_VERSION).fetchone()[0])


def erasures_since(path: Path, moment: datetime) -> Sequence[str]:
    """The receipts in a file that others may be using. Raises `sqlite3.DatabaseError` when it cannot be read."""
    with closing(_beside(path)) as connection:
        return [str(id) for (id,) in connection.execute(ERASURES_SINCE, {"moment": microseconds(moment)})]


def size_bytes(path: Path) -> int:
    """How large a copy of the file may become: the file and its log."""
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def contents(copied: Path) -> Contents:
    """Of a copy that nobody else has open. Raises `sqlite3.DatabaseError` when it is no database."""
    with closing(_at_rest(copied)) as connection:
        (version,) = connection.execute(SCHEMA_VERSION).fetchone()
        names = [str(name) for (name,) in connection.execute(TABLES)]
        rows = {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in names}
        sealed = connection.execute(vault.READ_KEY_ID).fetchone() if "vault" in rows else None
    return Contents(schema_version=int(version), rows=rows, key_id=None if sealed is None else str(sealed[0]))


def faults(copied: Path, *, quick: bool = False) -> Sequence[str]:
    """What is wrong with a copy that nobody else has open, as SQLite says it; empty when it is whole.

    `quick` leaves out whether each index agrees with its table, which takes most of the time.
    """
    try:
        with closing(_at_rest(copied)) as connection:
            check = "quick_check" if quick else "integrity_check"
            found = [str(line) for (line,) in connection.execute(f"PRAGMA {check}({FINDINGS})") if line != "ok"]
            strays = len(connection.execute(STRAYS).fetchmany(FINDINGS))
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [*found, *([f"{strays} rows without those they belong to"] if strays else [])]


def settle(path: Path) -> None:
    """Write the log of a file that nobody uses into it: then the file alone is all. Raises `DatabaseError`."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)) as connection:
        connection.execute(EMPTY_LOG)


def opens_with(copied: Path, key: MasterKey) -> bool:
    """Whether the secrets in a copy that nobody else has open were sealed with this key."""
    with closing(_at_rest(copied)) as connection:
        return vault.is_bound_to(connection, key)


def _beside(path: Path) -> sqlite3.Connection:
    """For reading, and never making a new file."""
    opened = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    opened.execute("PRAGMA query_only = ON")
    return opened


def _at_rest(path: Path) -> sqlite3.Connection:
    """As it lies there: no log, no lock, and not a byte of it changed."""
    return sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True, isolation_level=None)
