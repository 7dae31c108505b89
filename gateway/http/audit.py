"""`/v1/audit`: who did or read what, when, and from where."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import reads
from gateway.http.paging import Page, from_text, page_of
from gateway.http.problems import BadValue, invalid
from gateway.http.routing import Call, Operation, json_response
from storage import audit
from storage.api_keys import Scope
from storage.audit import Filter, Record, Via
from storage.threads import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """Something that was done or read. `act` is a noun and a verb, `targets` are the ids of what it was done to.

    `key_name` is what the key was called then; `by` the staff member whom SELMA or the page named; `address` where
    the request came from.
    """

    id: str
    act: str
    via: Via
    key_id: str | None
    key_name: str | None
    by: str | None
    address: str | None
    targets: Mapping[str, str]
    created_at: datetime

    @classmethod
    def of(cls, record: Record) -> Self:
        """As the API shows it."""
        return cls(
            id=str(record.seq),
            act=record.act,
            via=record.actor.via,
            key_id=record.actor.key_id,
            key_name=record.actor.key_name,
            by=record.actor.staff,
            address=record.actor.address,
            targets=record.targets,
            created_at=record.created_at,
        )


async def list_newest(call: Call[schemas.AuditQuery]) -> Response:
    await call.services.trail.flush()
    given = call.given
    only = Filter(act=given.act, key_id=given.key, staff=given.by, target=given.target)
    before = _seq(from_text(given.after))
    found = await call.services.store.read(
        audit.newest, call.account_id, only=only, before=before, limit=given.limit + 1
    )
    items, following = page_of(found, given.limit, lambda one: Cursor(at=one.created_at, id=str(one.seq)))
    return json_response(Page(items=[AuditView.of(one) for one in items], next=following))


def _seq(cursor: Cursor | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.id.isascii() and cursor.id.isdecimal() and len(cursor.id) < 19):
        raise invalid(BadValue(where="query", pointer="/after", detail="This is not a `next` that a page gave."))
    return int(cursor.id)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/audit",
        scope=Scope.SETTINGS,
        summary="Who did or read what, newest first",
        takes=schemas.AuditQuery,
        does=list_newest,
        audit=reads("audit.read"),
        gives=Page[AuditView],
    ),
)
