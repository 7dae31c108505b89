"""`/v1/objects/{type}/{id}/export`, `/v1/erasures` and `/v1/retention`: what a school owes to those it writes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from gateway.http import schemas
from gateway.http.actors import actor_of
from gateway.http.auditing import does, reads
from gateway.http.paging import Page, from_text, page_of
from gateway.http.problem_types import CONFLICT, DISK_NEARLY_FULL, NOT_FOUND
from gateway.http.problems import BadValue, invalid
from gateway.http.routing import Call, Operation, json_response
from gateway.privacy.erasing import Order, Plan
from gateway.privacy.kept import StillIn
from gateway.privacy.retention import run_soon
from storage import Transaction, erasures, retention
from storage.api_keys import Scope
from storage.erasures import Erasure, What
from storage.threads import Cursor, Object, ObjectType

NOTES: Final = (
    "The mailboxes at Microsoft 365 are not touched: what is in them is the school's to delete there.",
    "Backups that were made before have it until they are deleted. After one of them was restored, erase again.",
    "A name in the words of others cannot be told from other words, and stays in them.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofView:
    """What a search of the database file, its log and the log's index found.

    `searched_for` words of what was erased were looked for in so many `spellings`, and `searched_for_in_index` as the
    search index writes them; `left` and `left_in_index` were found and stand in nothing that is kept. Both are to be 0.
    """

    searched_for: int
    searched_for_in_index: int
    spellings: int
    files: Sequence[str]
    bytes: int
    left: int
    left_in_index: int
    searched_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupView:
    """A backup that still holds what was erased. `kept_until`: when the gateway deletes it; null: when people do."""

    name: str
    made_at: datetime
    kept_until: datetime | None

    @classmethod
    def of(cls, kept: StillIn) -> Self:
        """As the API shows it."""
        return cls(name=kept.name, made_at=kept.made_at, kept_until=kept.kept_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureView:
    """The receipt of an erasure: ids, counts and times, and nothing of what was erased.

    A dry run has no `id`. `threads` went whole, with their `messages`; of `unlinked_threads` only the link went, as
    somebody else has them too; in `edited_messages` the address gave way to "[erased]". `rows` counts by table.
    `purged_at` is since when the search index and the log have nothing of it; without a `proof` the gateway was stopped
    before it had searched the file. `backups` are those in the gateway's folder that were made before, as of now.
    """

    id: str | None
    what: What
    objects: Sequence[Mapping[str, str]]
    reason: str
    by: str | None
    threads: Sequence[str]
    messages: Sequence[str]
    unlinked_threads: Sequence[str]
    edited_messages: Sequence[str]
    rows: Mapping[str, int]
    under_way: Sequence[str]
    proof: ProofView | None
    created_at: datetime | None
    purged_at: datetime | None
    backups: Sequence[BackupView]
    notes: Sequence[str] = NOTES

    @classmethod
    def of(cls, erasure: Erasure, kept: Sequence[StillIn]) -> Self:
        """What was done."""
        return cls(
            id=erasure.id,
            what=erasure.what,
            objects=erasure.objects,
            reason=erasure.reason,
            by=erasure.done_by,
            **erasure.removed,
            under_way=(),
            proof=None if erasure.proof is None else ProofView(**erasure.proof),
            created_at=erasure.created_at,
            purged_at=erasure.purged_at,
            backups=[BackupView.of(one) for one in kept],
        )

    @classmethod
    def planned(cls, plan: Plan, order: Order, kept: Sequence[StillIn]) -> Self:
        """What would be done."""
        return cls(
            id=None,
            what=plan.what,
            objects=[{"type": one.type.value, "id": one.id} for one in order.objects],
            reason=order.reason,
            by=None,
            **plan.as_removed(),
            under_way=plan.reach.under_way,
            proof=None,
            created_at=None,
            purged_at=None,
            backups=[BackupView.of(one) for one in kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionView:
    """Days after the last message of a thread, by type of record; `threads` is for all others. Null: for ever."""

    threads: int | None = None
    audit: int | None = None
    student: int | None = None
    enrolment: int | None = None
    intake: int | None = None
    class_: int | None = None
    contact: int | None = None
    organisation: int | None = None
    user: int | None = None

    @classmethod
    def of(cls, rules: Mapping[str, int]) -> Self:
        """As the API shows them."""
        return cls(**{f"{name}_" if name == "class" else name: days for name, days in rules.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPreview:
    """What would go now by the rules: how many threads with how many messages, and rows of the audit log."""

    threads: int
    messages: int
    oldest: datetime | None
    newest: datetime | None
    audit_rows: int


async def export(call: Call[schemas.Nothing]) -> Response:
    what = _object(call)
    call.services.space.check()
    call.services.crowd.exports.take(call.request)
    name = quote(f"{what.type}-{what.id}.zip", safe="")
    return StreamingResponse(
        call.services.privacy.exporter.export(call.account_id, what),
        media_type="application/zip",
        headers={"content-disposition": f"attachment; filename*=UTF-8''{name}", "cache-control": "no-store"},
    )


async def erase(call: Call[schemas.NewErasure]) -> Response:
    given, desk = call.given, call.services.privacy
    order = Order(
        objects=tuple(Object(type=one.type, id=one.id) for one in given.objects),
        address=given.address,
        reason=given.reason,
    )
    if given.dry_run:
        plan = await desk.eraser.preview(call.account_id, order)
        return json_response(ErasureView.planned(plan, order, await desk.would_be_in()))
    call.deed.is_recorded = True  # with the rows that go
    receipt = await desk.eraser.erase(call.account_id, order, by=actor_of(call))
    headers = {"location": f"/v1/erasures/{receipt.id}"}
    [view] = await _views(call, receipt)
    return json_response(view, headers=headers)


async def list_erasures(call: Call[schemas.PageQuery]) -> Response:
    cursor, limit = from_text(call.given.after), call.given.limit
    before_id = None if cursor is None else cursor.id
    found = await call.services.store.read(erasures.newest, call.account_id, before_id=before_id, limit=limit + 1)
    items, following = page_of(found, limit, lambda one: Cursor(at=one.created_at, id=one.id))
    return json_response(Page(items=await _views(call, *items), next=following))


async def show_erasure(call: Call[schemas.Nothing]) -> Response:
    [view] = await _views(call, await call.services.store.read(erasures.get, call.account_id, call.path("id")))
    return json_response(view)


async def _views(call: Call[Any], *receipts: Erasure) -> list[ErasureView]:
    kept = await call.services.privacy.still_in(*receipts)
    return [ErasureView.of(receipt, holding) for receipt, holding in zip(receipts, kept, strict=True)]


async def show_rules(call: Call[schemas.Nothing]) -> Response:
    return json_response(RetentionView.of(await call.services.store.read(retention.rules, call.account_id)))


async def set_rules(call: Call[schemas.RetentionRules]) -> Response:
    rules = await call.deed.write(_set_rules, call.account_id, call.given.days(), call.now)
    return json_response(RetentionView.of(rules))


def _set_rules(tx: Transaction, account_id: str, days: Mapping[str, int], now: datetime) -> dict[str, int]:
    retention.set_rules(tx, account_id, days)
    run_soon(tx, account_id, now)
    return retention.rules(tx, account_id)


async def preview(call: Call[schemas.Nothing]) -> Response:
    expired, rows = await call.services.privacy.retention.preview(call.account_id)
    return json_response(
        RetentionPreview(
            threads=expired.threads,
            messages=expired.messages,
            oldest=expired.oldest,
            newest=expired.newest,
            audit_rows=rows,
        )
    )


def _object(call: Call[Any]) -> Object:
    try:
        return Object(type=ObjectType(call.path("type")), id=call.path("id"))
    except ValueError:
        detail = f"This must be one of {', '.join(ObjectType)}."
        raise invalid(BadValue(where="path", pointer="/type", detail=detail)) from None


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/objects/{type}/{id:path}/export",
        scope=Scope.SETTINGS,
        summary="Everything that is kept about one record, as a ZIP (application/zip)",
        takes=schemas.Nothing,
        does=export,
        audit=does("object.export", type="object_type", id="object_id"),
        gives=bytes,
        media_type="application/zip",
        problems=(DISK_NEARLY_FULL,),
    ),
    Operation(
        method="POST",
        path="/v1/erasures",
        scope=Scope.SETTINGS,
        summary="Erase what is kept of some records, or of a person by their address; or say what that would remove",
        takes=schemas.NewErasure,
        does=erase,
        locates=True,
        audit=does("erasure.preview"),
        gives=ErasureView,
        problems=(CONFLICT,),
    ),
    Operation(
        method="GET",
        path="/v1/erasures",
        scope=Scope.SETTINGS,
        summary="The receipts of erasures, newest first",
        takes=schemas.PageQuery,
        does=list_erasures,
        audit=reads("erasure.list"),
        gives=Page[ErasureView],
    ),
    Operation(
        method="GET",
        path="/v1/erasures/{id}",
        scope=Scope.SETTINGS,
        summary="The receipt of an erasure",
        takes=schemas.Nothing,
        does=show_erasure,
        audit=reads("erasure.read", id="erasure_id"),
        gives=ErasureView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="GET",
        path="/v1/retention",
        scope=Scope.SETTINGS,
        summary="How many days what is kept",
        takes=schemas.Nothing,
        does=show_rules,
        audit=reads("retention.read"),
        gives=RetentionView,
    ),
    Operation(
        method="PUT",
        path="/v1/retention",
        scope=Scope.SETTINGS,
        summary="Set how many days what is kept: these rules and no others; look at the preview first",
        takes=schemas.RetentionRules,
        does=set_rules,
        audit=does("retention.set"),
        gives=RetentionView,
    ),
    Operation(
        method="GET",
        path="/v1/retention/preview",
        scope=Scope.SETTINGS,
        summary="What would go now by the rules",
        takes=schemas.Nothing,
        does=preview,
        audit=reads("retention.preview"),
        gives=RetentionPreview,
    ),
)
