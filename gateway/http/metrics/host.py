"""The process and what it stands on: which release, how large its files, how much room, how long the queue.

Nothing of this asks the database, so it is there when the database is not.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric

from gateway import __version__
from gateway.http.metrics.families import NAMESPACE, one
from storage import Store
from storage.migrate import released


@dataclass(frozen=True, slots=True)
class Host:
    """A collector for the application's registry."""

    store: Store

    def collect(self) -> Iterable[Metric]:
        """As it is now."""
        yield InfoMetricFamily(
            f"{NAMESPACE}_build",
            "Which release runs, with which version of the tables: for seeing an upgrade in a graph.",
            value={"version": __version__, "schema": schema(), "sqlite": sqlite3.sqlite_version},
        )
        yield one(
            "store_writes_queued",
            "Writes that wait for the next commit. In the thousands the disk does not keep up; at 20,000 writes are "
            "refused.",
            self.store.queued,
        )
        database, log, _ = self.store.files
        yield from _sizes(
            ("database_bytes", "Size of the database file.", database),
            (
                "database_log_bytes",
                "Size of the database's log (WAL). It is cut at 32 MiB; when it goes on growing, something else reads "
                "the file without an end.",
                log,
            ),
        )
        yield from _room(database.parent)


@cache
def schema() -> str:
    """The version of the tables that this release has."""
    return str(released()[-1].version)


def _sizes(*wanted: tuple[str, str, Path]) -> Iterable[Metric]:
    """Of the files that can be looked at."""
    for name, meaning, file in wanted:
        try:
            yield one(name, meaning, file.stat().st_size)
        except OSError:
            continue


def _room(folder: Path) -> Sequence[Metric]:
    """Of the file system that the database lies on."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return ()
    return (
        GaugeMetricFamily(
            f"{NAMESPACE}_filesystem_free_bytes",
            "Room left for the gateway on the file system of its database. Make room before it is full: then nothing "
            "can be kept.",
            value=found.f_bavail * found.f_frsize,
        ),
        GaugeMetricFamily(
            f"{NAMESPACE}_filesystem_size_bytes",
            "Size of the file system that the database lies on.",
            value=found.f_blocks * found.f_frsize,
        ),
    )
