"""Numbered migrations, forward only, each in its own transaction; `user_version` says how far a file is."""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from storage.errors import SchemaTooNew


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered script. Once released it is never edited."""

    version: int
    name: str
    script: str


def released() -> Sequence[Migration]:
    """All migrations of this release, oldest first."""
    scripts = sorted(
        (path for path in files("storage").joinpath("migrations").iterdir() if path.name.endswith(".sql")),
        key=lambda path: path.name,
    )
    return [
        Migration(version=int(path.name[:4]), name=path.name, script=path.read_text(encoding="utf-8"))
        for path in scripts
    ]


def is_up_to_date(connection: sqlite3.Connection) -> bool:
    """Whether this release has nothing to change in the file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return bool(version >= released()[-1].version)


def outdated(connection: sqlite3.Connection) -> int | None:
    """The version of a file with something in it that this release would change; None when it would not."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version) if 0 < version < released()[-1].version else None


def bring_up_to_date(connection: sqlite3.Connection, migrations: Sequence[Migration] | None = None) -> int:
    """Run what the file lacks and return its version.

    Raises `SchemaTooNew` when the file has seen a newer release: reading it with old rules could lose data.
    """
    steps = released() if migrations is None else migrations
    newest = steps[-1].version
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > newest:
        raise SchemaTooNew(
            f"The database is at version {version}, this release knows versions up to {newest}. "
            "Start the newer release of selma-gateway, or restore a backup made before it ran."
        )
    # For scripts: what SQLite itself has not.
    connection.create_function("sha256", 1, lambda content: hashlib.sha256(content).digest(), deterministic=True)
    for step in steps:
        if step.version > version:
            _take(connection, step)
    return newest


def _take(connection: sqlite3.Connection, step: Migration) -> None:
    """All of the script and its number, or nothing."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{step.script}\nPRAGMA user_version = {step.version};\nCOMMIT;")
    except BaseException:
        connection.rollback()  # does nothing when nothing is open
        raise
