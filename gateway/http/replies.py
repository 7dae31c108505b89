"""`/v1/threads/{id}/replies`: answering in a thread, as staff do."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import does
from gateway.http.letters import AcceptedView
from gateway.http.messages import POSTING, WITH_KEY, letter_of, take_in
from gateway.http.problem_types import CONFLICT, NOT_FOUND
from gateway.http.routing import Call, Operation
from gateway.http.sight import Sees
from gateway.sending.answering import latest_to_answer
from storage.api_keys import Scope


async def post(call: Call[schemas.NewReply]) -> Response:
    sender, message_id = await call.services.store.read(latest_to_answer, call.account_id, call.path("id"))
    return await take_in(call, letter_of(call.given, sender=sender, in_reply_to=message_id))


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/threads/{id}/replies",
        scope=Scope.SEND,
        summary="Answer in a thread",
        takes=schemas.NewReply,
        does=post,
        audit=does("letter.post", id="thread_id"),
        gives=AcceptedView,
        status=HTTPStatus.ACCEPTED,
        headers=WITH_KEY,
        problems=(*POSTING, NOT_FOUND, CONFLICT),
        sees=Sees.THREAD,
    ),
)
