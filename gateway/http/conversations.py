"""`POST /v1/threads`: a conversation that exists in a mailbox becomes a thread."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.http import auth, schemas, sight
from gateway.http.auditing import does
from gateway.http.problem_types import (
    CONFLICT,
    MAILBOX_NOT_VALIDATED,
    MICROSOFT_365,
    NOT_CONNECTED,
    NOT_FOUND,
    UNKNOWN_MAILBOX,
)
from gateway.http.problems import BadValue, about, invalid
from gateway.http.routing import Call, Operation, json_response
from gateway.http.sight import Sees
from gateway.sending.posted import MailboxNotValidated, UnknownMailbox
from gateway.threads.linking import Ambiguous
from gateway.threads.views import ThreadView, thread_view
from storage import Transaction, threads
from storage.api_keys import Scope
from storage.threads import Object


async def link(call: Call[schemas.NewThread]) -> Response:
    """Needs `read` beside its own scope: the answer tells of mail that the caller had no part in."""
    auth.require(call.key, Scope.READ)
    given = call.given
    try:
        await sight.check_mailbox(call.services.store, call.key, given.mailbox)
        thread_id = await call.services.linking.link(
            call.account_id,
            given.mailbox,
            [Object(type=one.type, id=one.id) for one in given.objects],
            conversation_id=given.conversation_id,
            internet_message_id=given.internet_message_id,
        )
    except (UnknownMailbox, MailboxNotValidated) as error:
        raise about(error, "/mailbox") from error
    except Ambiguous as error:
        raise invalid(BadValue(pointer="/internet_message_id", detail=str(error))) from error
    call.deed.about(thread_id=thread_id)
    view = await call.services.store.read(_view, call.account_id, thread_id)
    return json_response(view, HTTPStatus.CREATED, {"location": f"/v1/threads/{thread_id}"})


def _view(tx: Transaction, account_id: str, thread_id: str) -> ThreadView:
    return thread_view(tx, threads.get(tx, account_id, thread_id))


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/threads",
        scope=Scope.SEND,
        summary="Make a thread of a conversation that is in a mailbox; needs the scope `read` too",
        takes=schemas.NewThread,
        does=link,
        audit=does("thread.create"),
        gives=ThreadView,
        status=HTTPStatus.CREATED,
        problems=(NOT_FOUND, CONFLICT, NOT_CONNECTED, MICROSOFT_365, UNKNOWN_MAILBOX, MAILBOX_NOT_VALIDATED),
        sees=Sees.PART,
    ),
)
