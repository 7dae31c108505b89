"""The gateway's file, read beside it. Only copies are opened, so that the gateway meets what a kill has left."""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LETTERS: Final = """
SELECT outbox.message_id, outbox.send_uid, outbox.state, outbox.submits, idempotency_keys.key
  FROM outbox
  JOIN messages ON messages.id = outbox.message_id
  LEFT JOIN idempotency_keys ON idempotency_keys.message_id = outbox.message_id
 ORDER BY outbox.message_id
"""
HINTS: Final = "SELECT message_id, count(*) FROM hints GROUP BY message_id"
IN_HAND: Final = "SELECT state, count(*) FROM outbox WHERE lease_owner IS NOT NULL GROUP BY state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A letter as the file has it. `submits` is how often `/send` was tried."""

    message_id: str
    send_uid: str
    state: str
    submits: int
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What a kill has left: whether the file is whole ("ok"), and the states of the letters that were in hand."""

    integrity: str
    in_hand: Mapping[str, int]


def rows_of(database: Path) -> Sequence[Row]:
    """All letters."""
    with _copy(database) as connection:
        connection.row_factory = sqlite3.Row
        return [Row(**row) for row in connection.execute(LETTERS)]


def hints_of(database: Path) -> Counter[str]:
    """How many hints there are of each message, open and closed."""
    with _copy(database) as connection:
        return Counter(dict(connection.execute(HINTS).fetchall()))


def remains_of(database: Path) -> Remains:
    """Look at the file of a gateway that was killed."""
    with _copy(database) as connection:
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            strays = connection.execute("PRAGMA foreign_key_check").fetchall()
            in_hand = dict(connection.execute(IN_HAND).fetchall())
        except sqlite3.DatabaseError as error:
            return Remains(integrity=str(error), in_hand={})
    orphans = [f"{len(strays)} rows without their parents"] if strays else []
    return Remains(integrity="; ".join([*found, *orphans]), in_hand=in_hand)


@contextmanager
def _copy(database: Path) -> Iterator[sqlite3.Connection]:
    """A copy with its write-ahead log."""
    with tempfile.TemporaryDirectory(prefix="selma-gateway-fire-") as folder:
        for name in (database.name, f"{database.name}-wal"):
            if (database.parent / name).exists():
                shutil.copyfile(database.parent / name, Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / database.name)) as connection:
            yield connection
