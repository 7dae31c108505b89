"""`/v1/messages`: letters, from the post to the Sent folder."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from gateway.http import reading, schemas
from gateway.http.letters import (
    AcceptedView,
    LetterView,
    WholeMessageView,
    accepted_view,
    newest_letters,
    whole_message,
)
from gateway.http.paging import Page, from_text, page_of
from gateway.http.problem_types import (
    CONFLICT,
    IDEMPOTENCY_KEY_REUSED,
    MAILBOX_NOT_VALIDATED,
    NOT_FOUND,
    UNKNOWN_MAILBOX,
)
from gateway.http.problems import BadValue, about, invalid
from gateway.http.routing import Call, Operation, json_response
from gateway.sending.accept import MailboxNotValidated, NewLetter, UnknownMailbox, accept, cancel, retry
from storage import Transaction
from storage.api_keys import Scope
from storage.messages import BodyType
from storage.outbox import LetterAttachment
from storage.threads import Address, Cursor, Object

IDEMPOTENCY_KEY: Final = "idempotency-key"
IDEMPOTENCY_KEY_FORM: Final = re.compile(r"[ -~]{1,255}")


async def post(call: Call[schemas.NewMessage]) -> Response:
    key = _idempotency_key(call)
    try:
        view, repeated = await call.services.store.write(_accept, call.account_id, _letter(call.given), key, call.now)
    except (UnknownMailbox, MailboxNotValidated) as error:
        raise about(error, "/from") from error
    headers = {"location": f"/v1/messages/{view.id}"} | ({"idempotent-replayed": "true"} if repeated else {})
    return json_response(view, HTTPStatus.ACCEPTED, headers)


def _accept(
    tx: Transaction, account_id: str, letter: NewLetter, key: str | None, now: datetime
) -> tuple[AcceptedView, bool]:
    accepted = accept(tx, account_id, letter, idempotency_key=key, now=now)
    return accepted_view(tx, account_id, accepted.message_id), accepted.repeated


def _idempotency_key(call: Call[Any]) -> str | None:
    key = reading.header(call.request, IDEMPOTENCY_KEY)
    if key is not None and not IDEMPOTENCY_KEY_FORM.fullmatch(key):
        detail = "This must be 1 to 255 printable ASCII characters."
        raise invalid(BadValue(where="header", pointer="/" + IDEMPOTENCY_KEY, detail=detail))
    return key


def _letter(given: schemas.NewMessage) -> NewLetter:
    return NewLetter(
        sender=given.from_,
        to=_people(given.to),
        cc=_people(given.cc),
        bcc=_people(given.bcc),
        reply_to=_people(given.reply_to),
        subject=given.subject,
        body_type=BodyType.TEXT if given.html is None else BodyType.HTML,
        body=given.html or given.text or "",
        attachments=tuple(
            LetterAttachment(
                name=one.name, content_type=one.content_type, content_id=one.content_id, content=one.content
            )
            for one in given.attachments
        ),
        objects=tuple(Object(type=one.type, id=one.id) for one in given.objects),
        created_by=given.created_by,
        importance=given.importance,
        metadata=given.metadata,
        send_at=given.send_at,
    )


def _people(people: list[schemas.Person]) -> tuple[Address, ...]:
    return tuple(Address(name=one.name, address=one.address) for one in people)


async def list_letters(call: Call[schemas.PageQuery]) -> Response:
    cursor, limit = from_text(call.given.after), call.given.limit
    before_id = None if cursor is None else cursor.id
    found = await call.services.store.read(newest_letters, call.account_id, before_id=before_id, limit=limit + 1)
    items, following = page_of(found, limit, lambda one: Cursor(at=one.created_at, id=one.id))
    return json_response(Page(items=items, next=following))


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.read(whole_message, call.account_id, call.path("id")))


async def cancel_one(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.write(_cancel, call.account_id, call.path("id"), call.now))


async def retry_one(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.write(_retry, call.account_id, call.path("id"), call.now))


def _cancel(tx: Transaction, account_id: str, message_id: str, now: datetime) -> WholeMessageView:
    cancel(tx, account_id, message_id, now=now)
    return whole_message(tx, account_id, message_id)


def _retry(tx: Transaction, account_id: str, message_id: str, now: datetime) -> WholeMessageView:
    retry(tx, account_id, message_id, now=now)
    return whole_message(tx, account_id, message_id)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/messages",
        scope=Scope.SEND,
        summary="Post a letter",
        takes=schemas.NewMessage,
        does=post,
        gives=AcceptedView,
        status=HTTPStatus.ACCEPTED,
        headers={"Idempotency-Key": "Yours, 1 to 255 printable ASCII characters: the same key and letter, one letter."},
        problems=(UNKNOWN_MAILBOX, MAILBOX_NOT_VALIDATED, IDEMPOTENCY_KEY_REUSED),
    ),
    Operation(
        method="GET",
        path="/v1/messages",
        scope=Scope.READ,
        summary="The letters, newest first",
        takes=schemas.PageQuery,
        does=list_letters,
        gives=Page[LetterView],
    ),
    Operation(
        method="GET",
        path="/v1/messages/{id}",
        scope=Scope.READ,
        summary="One message, and how it stands",
        takes=schemas.Nothing,
        does=show,
        gives=WholeMessageView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path="/v1/messages/{id}/cancel",
        scope=Scope.SEND,
        summary="Do not send a letter that has not left",
        takes=schemas.Nothing,
        does=cancel_one,
        gives=WholeMessageView,
        problems=(NOT_FOUND, CONFLICT),
    ),
    Operation(
        method="POST",
        path="/v1/messages/{id}/retry",
        scope=Scope.SEND,
        summary="Send a letter that failed, or that needed a person's decision",
        takes=schemas.Nothing,
        does=retry_one,
        gives=WholeMessageView,
        problems=(NOT_FOUND, CONFLICT),
    ),
)
