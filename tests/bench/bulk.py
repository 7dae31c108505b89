"""The yardstick of storing mail: the same rows, read from a gateway's file, into an empty one of the same schema.

Each message with its entry in the search index and its event, as the gateway stores them. Nothing but SQLite, and as
fast as it can be had: thousands of rows in one transaction with `synchronous=FULL`, many to a statement, the entries of
the index in the order of their numbers; with whatever indexes and triggers the schema has. What the rows refer to is
there before.
"""

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from storage import open_store
from storage.connections import EACH_CONNECTION, WRITER_CACHE
from storage.entering import enter
from tests.bench.machine import stay_on
from tests.bench.processes import plan_from_stdin, say

AT_ONCE: Final = 1000
PARAMETERS: Final = 10000  # of a statement
NEEDED: Final = ("accounts", "mailboxes", "threads", "thread_objects")  # by the rows' foreign keys, and by the index


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPlan:
    """The gateway's file, and where the other is made."""

    source: str
    target: str
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReport:
    """How many messages, in how many seconds, and how many of a processor's that took."""

    rows: int
    seconds: float
    processor_s: float


async def make(path: Path) -> None:
    """An empty file of this release."""
    async with open_store(path):
        pass


def load(source: str, target: str) -> BulkReport:
    """Copy them."""
    connection = sqlite3.connect(target, isolation_level=None)
    for pragma in (*EACH_CONNECTION, WRITER_CACHE):
        connection.execute(pragma)
    connection.execute("ATTACH ? AS source", (source,))
    for table in NEEDED:
        connection.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")
    messages, entries, events = (
        Rows.of(connection, *which)
        for which in (("messages", "id", "rowid"), ("searched", "message_id", "id"), ("events", "message_id", "seq"))
    )
    left, worked, began = iter(messages.by_message.items()), time.process_time(), time.perf_counter()
    while some := dict(itertools.islice(left, AT_ONCE)):
        connection.execute("BEGIN IMMEDIATE")
        for rows in (messages, entries, events):
            rows.insert(connection, some)
        enter(connection)
        connection.execute("COMMIT")
    return BulkReport(
        rows=len(messages.by_message),
        seconds=time.perf_counter() - began,
        processor_s=time.process_time() - worked,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a table has of each message."""

    into: str
    by_message: dict[str, list[tuple[Any, ...]]]

    @classmethod
    def of(cls, connection: sqlite3.Connection, table: str, message_id: str, order: str) -> Self:
        """Read them all."""
        columns = [row[1] for row in connection.execute(f"PRAGMA source.table_info({table})")]
        found: dict[str, list[tuple[Any, ...]]] = {}
        rows = connection.execute(f"SELECT {message_id}, {', '.join(columns)} FROM source.{table} ORDER BY {order}")
        for about, *row in rows:
            found.setdefault(about, []).append(tuple(row))
        return cls(into=f"main.{table} ({', '.join(columns)})", by_message=found)

    def insert(self, connection: sqlite3.Connection, message_ids: Iterable[str]) -> None:
        """Those of these messages, in the order of their keys where that is theirs."""
        rows = [row for one in message_ids for row in self.by_message.get(one, ())]
        if "searched" in self.into:
            rows.sort()
        at_once = PARAMETERS // len(rows[0]) if rows else 1
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            marks = ", ".join([f"({', '.join('?' * len(some[0]))})"] * len(some))
            values = [value for row in some for value in row]
            connection.execute(f"INSERT INTO {self.into} VALUES {marks}", values)


if __name__ == "__main__":
    the_plan = BulkPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    asyncio.run(make(Path(the_plan.target)))
    say(load(the_plan.source, the_plan.target))
