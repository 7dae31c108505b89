"""Pages of lists: keyset, so that a page does not shift while new rows come. The cursor is opaque to the caller."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson

from gateway.http.problems import BadValue, Problem, invalid
from storage.threads import Cursor
from storage.transaction import microseconds, moment

Item = TypeVar("Item")
View = TypeVar("View")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[View]):
    """Part of a list. `next` goes into `after` for the next page; null when this is the last."""

    items: Sequence[View]
    next: str | None


def to_text(cursor: Cursor) -> str:
    """The cursor as a caller gets it."""
    return base64.urlsafe_b64encode(orjson.dumps([microseconds(cursor.at), cursor.id])).decode().rstrip("=")


def from_text(text: str | None) -> Cursor | None:
    """The cursor that a caller gave back. Raises `Problem` (422) when it is none of ours."""
    if text is None:
        return None
    try:
        at, row_id = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        if not isinstance(at, int) or not isinstance(row_id, str):
            raise not_ours()
        return Cursor(at=moment(at), id=row_id)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise not_ours() from None


def page_of(found: Sequence[Item], limit: int, cursor: Callable[[Item], Cursor]) -> tuple[Sequence[Item], str | None]:
    """What to show of `limit` + 1 rows that were asked for, and where the next page begins."""
    if len(found) <= limit:
        return found, None
    shown = found[:limit]
    return shown, to_text(cursor(shown[-1]))


def not_ours() -> Problem:
    """The answer to a cursor that no page gave."""
    return invalid(BadValue(where="query", pointer="/after", detail="This is not a `next` that a page gave."))
