"""A restored database, compared with what its backup promised and with the one that lived on."""

import sqlite3
from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# What restoring itself adds: the event that tells of it, and the changes of letters put in doubt.
ADDED_TO: Final = frozenset({"events"})
# What a message never changes: the rest is filled in as a letter goes its way.
FIXED: Final = "id, account_id, direction, subject, body_type, body, recipients, created_at"
MESSAGES: Final = f"SELECT {FIXED} FROM messages ORDER BY id"
LETTERS: Final = """
SELECT outbox.message_id, outbox.state, outbox.restored_at, outbox.send_uid, idempotency_keys.key
  FROM outbox LEFT JOIN idempotency_keys ON idempotency_keys.message_id = outbox.message_id
"""
OVER: Final = frozenset({"sent", "bounced", "failed", "needs_review", "cancelled"})
WITNESSES: Final = frozenset({"submitted"})  # stays what it is, and is looked for at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`compared` messages were the same, `doubted` letters were open; `violations` are sentences."""

    compared: int
    doubted: int
    violations: Sequence[str]


def compare(restored: Path, live: Path, rows: Mapping[str, int], promised: Mapping[str, str]) -> Comparison:
    """`rows` are the manifest's; `promised` the id that each key had been answered with before the backup began."""
    with closing(_read(restored)) as here, closing(_read(live)) as there:
        letters = here.execute(LETTERS).fetchall()
        mine = {row[0]: tuple(row) for row in here.execute(MESSAGES)}
        theirs = {row[0]: tuple(row) for row in there.execute(MESSAGES)}
        found = {table: here.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in rows}
        broken = [
            *(f"integrity_check says {row[0]}" for row in here.execute("PRAGMA integrity_check") if row[0] != "ok"),
            *(f"a row of {row[0]} has no parent" for row in here.execute("PRAGMA foreign_key_check")),
        ]
    by_id = {row["message_id"]: row for row in letters}
    open_ones = [row for row in letters if row["state"] not in OVER]
    return Comparison(
        compared=len(mine),
        doubted=len(open_ones),
        violations=[
            *broken,
            *(
                f"{table} has {found[table]} rows, not {count}"
                for table, count in rows.items()
                if _differs(found, rows, table)
            ),
            *(f"{key} was promised as {one} and is not in it" for key, one in promised.items() if one not in by_id),
            *(
                f"{one} has another key than {key}"
                for key, one in promised.items()
                if one in by_id and by_id[one]["key"] != key
            ),
            *(f"message {one} is another than in the gateway's file" for one in mine if mine[one] != theirs.get(one)),
            *(
                f"{row['message_id']} is open and not in doubt: {row['state']}"
                for row in open_ones
                if not _is_in_doubt(row)
            ),
        ],
    )


def left_twice(ledger: Sequence[Mapping[str, object]], tag: str) -> Sequence[str]:
    """Letters that left more than once, whatever became of their rows."""
    seen: Set[object] = set()
    twice = []
    for entry in ledger:
        properties = entry["extended_properties"]
        assert isinstance(properties, dict)
        uid = properties.get(tag)
        if uid in seen:
            twice.append(f"the letter with send_uid {uid} left more than once")
        seen = seen | {uid}
    return twice


def _differs(found: Mapping[str, int], said: Mapping[str, int], table: str) -> bool:
    return found[table] < said[table] if table in ADDED_TO else found[table] != said[table]


def _is_in_doubt(row: sqlite3.Row) -> bool:
    return row["restored_at"] is not None and row["state"] in {"unknown", *WITNESSES}


def _read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = ON")
    return connection
