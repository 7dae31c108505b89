"""Where what is written down came from: the trace and the request that began it, kept with letters, hints and events.

A context variable, so that no function between a request and its row has to pass it on; `Store.write` takes it along to
the writer's thread, and whoever takes the row up again goes on with it, after a restart too.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from sqlite3 import Row
from typing import Final, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """`traceparent` as https://www.w3.org/TR/trace-context/ has it; `request_id` is what its caller calls the request.

    Both are checked before they come here: plain words, no longer than the columns allow.
    """

    traceparent: str | None = None
    request_id: str | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read the two columns of a row."""
        return cls(traceparent=row["traceparent"], request_id=row["request_id"])


NOWHERE: Final = Origin()
ORIGIN: Final[ContextVar[Origin]] = ContextVar("origin", default=NOWHERE)
