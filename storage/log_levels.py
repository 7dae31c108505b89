"""Levels of the log that hold for a while, in place of the setting."""

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row
from typing import Self

from storage.transaction import Transaction, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLevel:
    """From `logger` down; '' is everything of the gateway's own. Over at `until`."""

    logger: str
    level: str
    until: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `log_levels`."""
        return cls(logger=row["logger"], level=row["level"], until=moment(row["until"]))


IN_FORCE = "SELECT * FROM log_levels WHERE until > :now ORDER BY logger"
SET = """
INSERT INTO log_levels (logger, level, until) VALUES (:logger, :level, :until)
    ON CONFLICT (logger) DO UPDATE SET level = :level, until = :until
"""
FORGET_ALL = "DELETE FROM log_levels"


def in_force(tx: Transaction, now: datetime) -> list[LogLevel]:
    """Those that hold now."""
    return [LogLevel.from_row(row) for row in tx.execute(IN_FORCE, {"now": now})]


def set_for_a_while(tx: Transaction, wished: LogLevel) -> None:
    """From now on, in place of what held for this logger."""
    tx.execute(SET, {"logger": wished.logger, "level": wished.level, "until": wished.until})


def forget_all(tx: Transaction) -> None:
    """The setting holds again."""
    tx.execute(FORGET_ALL)
