"""`/v1/batches`: many letters at once, with a forecast, and how far they have come."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Literal

from starlette.responses import Response

from gateway.http import schemas, sight
from gateway.http.auditing import does, reads
from gateway.http.letters import WITHOUT_KEY, Status
from gateway.http.messages import POSTING, WITH_KEY, idempotency_key, letter_of, refused
from gateway.http.paging import Page, from_text, page_of
from gateway.http.problem_types import NOT_FOUND
from gateway.http.routing import Call, Operation, json_response
from gateway.http.sight import Sees
from gateway.sending import choices
from gateway.sending.accept import accept_batch, done_by
from gateway.sending.machine import shown
from gateway.sending.posted import InBatch, LetterRefused, NewLetter
from gateway.sending.rules import Allowance, Rules
from gateway.tracing import span
from storage import Transaction, batches
from storage.api_keys import Scope
from storage.batches import Batch
from storage.threads import Cursor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedBatchView:
    """A batch as it was accepted: the same for every use of its Idempotency-Key.

    `messages` are the ids of its letters, in the order in which they were posted. `done_by` is when the last of them
    will have left, by what the mailboxes may send, if nothing goes wrong. `note` is something to know for next time.
    """

    id: str
    status: Literal["queued"]
    letters: int
    messages: Sequence[str]
    done_by: datetime
    created_at: datetime
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """A batch as it stands. `counts` is how many letters have each status; `done_by` is null once it is finished."""

    id: str
    name: str | None
    created_by: str | None
    status: Literal["sending", "finished"]
    letters: int
    counts: Mapping[Status, int]
    done_by: datetime | None
    created_at: datetime


async def post(call: Call[schemas.NewBatch]) -> Response:
    letters = await asyncio.to_thread(_letters_of, call.given)
    try:
        await sight.check_letters(call.services.store, call.key, letters)
        with span("accept", letters=len(letters)) as step:
            view, repeated = await call.deed.write_and(
                lambda accepted: None if accepted[1] else {"batch_id": accepted[0].id},
                _accept,
                call.account_id,
                letters,
                call.given,
                key=idempotency_key(call),
                rules=call.services.settings.rules,
                refusal=call.services.space.refusal(),
                now=call.now,
            )
            step.say(batch_id=view.id, repeated=repeated)
    except InBatch as error:
        if not isinstance(error.__cause__, LetterRefused):
            raise
        raise refused(error.__cause__, place=f"/letters/{error.position}") from error
    log.info("batch accepted", extra={"batch_id": view.id, "letters": len(letters), "repeated": repeated})
    headers = {"location": f"/v1/batches/{view.id}"} | ({"idempotent-replayed": "true"} if repeated else {})
    return json_response(view, HTTPStatus.ACCEPTED, headers)


def _letters_of(given: schemas.NewBatch) -> list[NewLetter]:
    return [letter_of(one, sender=one.from_, in_reply_to=one.in_reply_to) for one in given.letters]


def _accept(
    tx: Transaction,
    account_id: str,
    letters: Sequence[NewLetter],
    given: schemas.NewBatch,
    *,
    key: str | None,
    rules: Rules,
    refusal: LetterRefused | None,
    now: datetime,
) -> tuple[AcceptedBatchView, bool]:
    accepted = accept_batch(
        tx,
        account_id,
        letters,
        name=given.name,
        created_by=given.created_by,
        idempotency_key=key,
        rules=rules,
        refusal=refusal,
        now=now,
    )
    batch = batches.get(tx, account_id, accepted.batch_id)
    view = AcceptedBatchView(
        id=batch.id,
        status="queued",
        letters=batch.letters,
        messages=batches.letters_of(tx, batch.id),
        done_by=batch.done_by,
        created_at=batch.created_at,
        note=None if key is not None else WITHOUT_KEY,
    )
    return view, accepted.repeated


def batch_view(tx: Transaction, batch: Batch, *, allowance: Allowance, now: datetime) -> BatchView:
    """How far it has come, and when it will be over."""
    counts = Counter[Any]()
    for state, letters in batches.counts(tx, batch.id).items():
        counts[shown(state)] += letters
    under_way = batches.open_letters(tx, batch.id) > 0
    return BatchView(
        id=batch.id,
        name=batch.name,
        created_by=batch.created_by,
        status="sending" if under_way else "finished",
        letters=batch.letters,
        counts=dict(counts),
        done_by=done_by(tx, batch.id, allowance, now) if under_way else None,
        created_at=batch.created_at,
    )


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.read(_one, call.account_id, call.path("id"), **_reckoning(call)))


async def cancel(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.deed.write(_cancel, call.account_id, call.path("id"), **_reckoning(call)))


async def list_newest(call: Call[schemas.PageQuery]) -> Response:
    cursor, limit = from_text(call.given.after), call.given.limit
    before_id = None if cursor is None else cursor.id
    found = await call.services.store.read(
        _newest, call.account_id, before_id=before_id, limit=limit + 1, **_reckoning(call)
    )
    items, following = page_of(found, limit, lambda one: Cursor(at=one.created_at, id=one.id))
    return json_response(Page(items=items, next=following))


def _reckoning(call: Call[Any]) -> dict[str, Any]:
    return {"allowance": call.services.settings.rules.allowance, "now": call.now}


def _one(tx: Transaction, account_id: str, batch_id: str, *, allowance: Allowance, now: datetime) -> BatchView:
    return batch_view(tx, batches.get(tx, account_id, batch_id), allowance=allowance, now=now)


def _cancel(tx: Transaction, account_id: str, batch_id: str, *, allowance: Allowance, now: datetime) -> BatchView:
    choices.cancel_batch(tx, account_id, batch_id, now=now)
    return _one(tx, account_id, batch_id, allowance=allowance, now=now)


def _newest(
    tx: Transaction, account_id: str, *, before_id: str | None, limit: int, allowance: Allowance, now: datetime
) -> list[BatchView]:
    found = batches.newest(tx, account_id, before_id=before_id, limit=limit)
    return [batch_view(tx, one, allowance=allowance, now=now) for one in found]


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/batches",
        scope=Scope.SEND,
        summary="Post many letters, all or none",
        takes=schemas.NewBatch,
        does=post,
        audit=does("batch.post"),
        gives=AcceptedBatchView,
        status=HTTPStatus.ACCEPTED,
        headers=WITH_KEY,
        problems=POSTING,
        sees=Sees.PART,
    ),
    Operation(
        method="GET",
        path="/v1/batches",
        scope=Scope.READ,
        summary="The batches, newest first",
        takes=schemas.PageQuery,
        does=list_newest,
        audit=reads("batch.list"),
        gives=Page[BatchView],
    ),
    Operation(
        method="GET",
        path="/v1/batches/{id}",
        scope=Scope.READ,
        summary="How far a batch has come; its letters are at `/v1/messages?batch=`",
        takes=schemas.Nothing,
        does=show,
        audit=reads("batch.show", id="batch_id"),
        gives=BatchView,
        problems=(NOT_FOUND,),
        sees=Sees.BATCH,
    ),
    Operation(
        method="POST",
        path="/v1/batches/{id}/cancel",
        scope=Scope.SEND,
        summary="Do not send what of a batch has not left",
        takes=schemas.Nothing,
        does=cancel,
        audit=does("batch.cancel", id="batch_id"),
        gives=BatchView,
        problems=(NOT_FOUND,),
        sees=Sees.BATCH,
    ),
)
