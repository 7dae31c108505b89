"""`/v1/messages`: letters, from the post to the Sent folder."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

from starlette.responses import Response

from gateway.http import reading, schemas, sight
from gateway.http.auditing import does, reads
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
    DISK_NEARLY_FULL,
    IDEMPOTENCY_KEY_REUSED,
    LETTER_TOO_LARGE,
    MAILBOX_NOT_VALIDATED,
    NOT_FOUND,
    UNKNOWN_FILE,
    UNKNOWN_MAILBOX,
    UNKNOWN_ORIGINAL,
)
from gateway.http.problems import BadValue, Problem, about, as_problem, invalid
from gateway.http.routing import Call, Operation, json_response
from gateway.http.sight import Sees
from gateway.sending import choices
from gateway.sending.accept import accept
from gateway.sending.posted import (
    LetterRefused,
    MailboxNotValidated,
    NewAttachment,
    NewLetter,
    TooMuchAttached,
    UnknownFile,
    UnknownMailbox,
    UnknownOriginal,
)
from gateway.sending.rules import Rules
from gateway.tracing import span
from storage import Transaction
from storage.api_keys import Scope
from storage.messages import BodyType
from storage.threads import Address, Cursor, Object


class Choice(Protocol):
    """One of `gateway.sending.choices`."""

    def __call__(self, tx: Transaction, account_id: str, message_id: str, *, now: datetime) -> None: ...


log = logging.getLogger(__name__)

IDEMPOTENCY_KEY: Final = "idempotency-key"
IDEMPOTENCY_KEY_FORM: Final = re.compile(r"[ -~]{1,255}")


async def post(call: Call[schemas.NewMessage]) -> Response:
    return await take_in(call, letter_of(call.given, sender=call.given.from_, in_reply_to=call.given.in_reply_to))


async def take_in(call: Call[Any], letter: NewLetter) -> Response:
    """Accept a letter and say so."""
    key, rules = idempotency_key(call), call.services.settings.rules
    try:
        await sight.check_letter(call.services.store, call.key, letter)
        with span("accept") as step:
            view, repeated = await call.deed.write_and(
                lambda accepted: None if accepted[1] else {"message_id": accepted[0].id},
                _accept,
                call.account_id,
                letter,
                key,
                rules,
                call.services.space.refusal(),
                call.now,
            )
            step.say(message_id=view.id, repeated=repeated)
    except LetterRefused as error:
        raise refused(error) from error
    # At debug: a line for each letter costs a tenth of accepting it, and the letter's row has both ids.
    log.debug("letter accepted", extra={"message_id": view.id, "repeated": repeated})
    headers = {"location": f"/v1/messages/{view.id}"} | ({"idempotent-replayed": "true"} if repeated else {})
    return json_response(view, HTTPStatus.ACCEPTED, headers)


def _accept(
    tx: Transaction,
    account_id: str,
    letter: NewLetter,
    key: str | None,
    rules: Rules,
    refusal: LetterRefused | None,
    now: datetime,
) -> tuple[AcceptedView, bool]:
    accepted = accept(tx, account_id, letter, idempotency_key=key, rules=rules, refusal=refusal, now=now)
    return accepted_view(accepted.letter, with_key=key is not None), accepted.repeated


# Which value of the letter a refusal is about.
ABOUT: Final[Mapping[type[LetterRefused], str]] = {
    UnknownMailbox: "/from",
    MailboxNotValidated: "/from",
    UnknownOriginal: "/in_reply_to",
    UnknownFile: "/attachments",
    TooMuchAttached: "/attachments",
}


def refused(error: LetterRefused, *, place: str = "") -> Problem:
    """The problem of a letter that cannot be taken; `place` is where it stands in the body."""
    pointer = ABOUT.get(type(error))
    return as_problem(error) if pointer is None else about(error, place + pointer)


def idempotency_key(call: Call[Any]) -> str | None:
    """The header's value, if there is one. Raises `Problem` (422)."""
    key = reading.header(call.request, IDEMPOTENCY_KEY)
    if key is not None and not IDEMPOTENCY_KEY_FORM.fullmatch(key):
        detail = "This must be 1 to 255 printable ASCII characters."
        raise invalid(BadValue(where="header", pointer="/" + IDEMPOTENCY_KEY, detail=detail))
    return key


def letter_of(given: schemas.Letter, *, sender: str, in_reply_to: str | None) -> NewLetter:
    """What was posted, as the outbox takes it."""
    return NewLetter(
        sender=sender,
        to=_people(given.to),
        cc=_people(given.cc),
        bcc=_people(given.bcc),
        reply_to=_people(given.reply_to),
        subject=given.subject,
        body_type=BodyType.TEXT if given.html is None else BodyType.HTML,
        body=given.html or given.text or "",
        attachments=tuple(
            NewAttachment(
                name=one.name,
                content_type=one.content_type,
                content_id=one.content_id,
                content=one.content,
                file_id=one.file,
            )
            for one in given.attachments
        ),
        headers=tuple((one.name, one.value) for one in given.headers),
        objects=tuple(Object(type=one.type, id=one.id) for one in given.objects),
        created_by=given.created_by,
        importance=given.importance,
        metadata=given.metadata,
        in_reply_to=in_reply_to,
        send_at=given.send_at,
    )


def _people(people: list[schemas.Person]) -> tuple[Address, ...]:
    return tuple(Address(name=one.name, address=one.address) for one in people)


async def list_letters(call: Call[schemas.LettersQuery]) -> Response:
    cursor, limit = from_text(call.given.after), call.given.limit
    before_id = None if cursor is None else cursor.id
    found = await call.services.store.read(
        newest_letters,
        call.account_id,
        before_id=before_id,
        limit=limit + 1,
        batch_id=call.given.batch,
        mailbox_ids=call.key.mailbox_ids,
    )
    items, following = page_of(found, limit, lambda one: Cursor(at=one.created_at, id=one.id))
    return json_response(Page(items=items, next=following))


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.read(whole_message, call.account_id, call.path("id")))


def _by_choice(choice: Choice) -> Callable[[Call[schemas.Nothing]], Awaitable[Response]]:
    """The operation that does what a person or SELMA decides of one letter, and shows it as it then is."""

    def choose(tx: Transaction, account_id: str, message_id: str, now: datetime) -> WholeMessageView:
        choice(tx, account_id, message_id, now=now)
        return whole_message(tx, account_id, message_id)

    async def do(call: Call[schemas.Nothing]) -> Response:
        return json_response(await call.deed.write(choose, call.account_id, call.path("id"), call.now))

    return do


WITH_KEY: Final = {
    "Idempotency-Key": "Yours, 1 to 255 printable ASCII characters: the same key and letter, one letter, for as long "
    "as the letter is kept. Without it, posting again makes a second letter."
}
POSTING: Final = (
    UNKNOWN_MAILBOX,
    MAILBOX_NOT_VALIDATED,
    UNKNOWN_ORIGINAL,
    UNKNOWN_FILE,
    LETTER_TOO_LARGE,
    IDEMPOTENCY_KEY_REUSED,
    DISK_NEARLY_FULL,
)
OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/messages",
        scope=Scope.SEND,
        summary="Post a letter",
        takes=schemas.NewMessage,
        does=post,
        audit=does("letter.post"),
        gives=AcceptedView,
        status=HTTPStatus.ACCEPTED,
        headers=WITH_KEY,
        problems=POSTING,
        sees=Sees.PART,
    ),
    Operation(
        method="GET",
        path="/v1/messages",
        scope=Scope.READ,
        summary="The letters, newest first",
        takes=schemas.LettersQuery,
        does=list_letters,
        audit=reads("letter.list"),
        gives=Page[LetterView],
        sees=Sees.PART,
    ),
    Operation(
        method="GET",
        path="/v1/messages/{id}",
        scope=Scope.READ,
        summary="One message, and how it stands",
        takes=schemas.Nothing,
        does=show,
        audit=reads("message.read", id="message_id"),
        gives=WholeMessageView,
        problems=(NOT_FOUND,),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="POST",
        path="/v1/messages/{id}/cancel",
        scope=Scope.SEND,
        summary="Do not send a letter that has not left",
        takes=schemas.Nothing,
        does=_by_choice(choices.cancel),
        audit=does("letter.cancel", id="message_id"),
        gives=WholeMessageView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="POST",
        path="/v1/messages/{id}/retry",
        scope=Scope.SEND,
        summary="Send a letter that failed, is held, or needed a person's decision",
        takes=schemas.Nothing,
        does=_by_choice(choices.retry),
        audit=does("letter.retry", id="message_id"),
        gives=WholeMessageView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="POST",
        path="/v1/messages/{id}/close",
        scope=Scope.SEND,
        summary="Leave a letter that needed a person's decision as it is",
        takes=schemas.Nothing,
        does=_by_choice(choices.close),
        audit=does("letter.close", id="message_id"),
        gives=WholeMessageView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.MESSAGE,
    ),
)
