"""The yardstick of storing mail: the same rows, read from a gateway's file, into an empty one of the same schema.

Nothing but SQLite: `executemany` by the thousand, each thousand one transaction with `synchronous=FULL`, with whatever
indexes and triggers the schema has.
"""

import asyncio
import itertools
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from storage import open_store
from tests.bench.machine import stay_on
from tests.bench.processes import plan_from_stdin, say

AT_ONCE: Final = 1000
NEEDED: Final = ("accounts", "mailboxes", "threads")  # by the rows' foreign keys


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPlan:
    """The gateway's file, and where the other is made."""

    source: str
    target: str
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkReport:
    """How many messages, in how long."""

    rows: int
    seconds: float


async def make(path: Path) -> None:
    """An empty file of this release."""
    async with open_store(path):
        pass


def load(source: str, target: str) -> BulkReport:
    """Copy them."""
    connection = sqlite3.connect(target, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("ATTACH ? AS source", (source,))
    for table in NEEDED:
        connection.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table}")
    columns = [row[1] for row in connection.execute("PRAGMA source.table_info(messages)")]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    rows: list[Any] = connection.execute(f"SELECT {names} FROM source.messages ORDER BY rowid").fetchall()
    insert = f"INSERT INTO main.messages ({names}) VALUES ({marks})"
    left, began = iter(rows), time.perf_counter()
    while some := list(itertools.islice(left, AT_ONCE)):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, some)
        connection.execute("COMMIT")
    return BulkReport(rows=len(rows), seconds=time.perf_counter() - began)


if __name__ == "__main__":
    the_plan = BulkPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    asyncio.run(make(Path(the_plan.target)))
    say(load(the_plan.source, the_plan.target))
