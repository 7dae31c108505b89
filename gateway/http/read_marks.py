"""`/v1/threads/{id}/read` and `…/unread`: what a member of staff has seen, told by the host application."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import does
from gateway.http.problem_types import CONFLICT, NOT_FOUND
from gateway.http.routing import Call, Operation, json_response
from gateway.http.sight import Sees
from storage import Transaction, read_marks, threads
from storage.api_keys import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadView:
    """How many messages of the thread the reader has not seen."""

    thread_id: str
    unread: int


async def mark_read(call: Call[schemas.ReadUpTo]) -> Response:
    return await _mark(call, read_marks.mark_read, reader=call.given.reader, up_to=call.given.up_to)


async def mark_unread(call: Call[schemas.Reader]) -> Response:
    return await _mark(call, read_marks.mark_unread, reader=call.given.reader)


async def _mark(call: Call[Any], marking: Callable[..., None], *, reader: str, **given: Any) -> Response:
    def work(tx: Transaction) -> UnreadView:
        thread = threads.get(tx, call.account_id, call.path("id"))
        marking(tx, call.account_id, thread.id, reader, now=call.now, **given)
        return UnreadView(thread_id=thread.id, unread=len(read_marks.unseen(tx, thread.id, reader)))

    return json_response(await call.deed.write(work))


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/threads/{id}/read",
        scope=Scope.READ,
        summary="A member of staff has read a thread",
        takes=schemas.ReadUpTo,
        does=mark_read,
        audit=does("thread.mark_read", id="thread_id"),
        gives=UnreadView,
        problems=(NOT_FOUND,),
        sees=Sees.THREAD,
    ),
    Operation(
        method="POST",
        path="/v1/threads/{id}/unread",
        scope=Scope.READ,
        summary="The last message that came in is new to a member of staff again",
        takes=schemas.Reader,
        does=mark_unread,
        audit=does("thread.mark_unread", id="thread_id"),
        gives=UnreadView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.THREAD,
    ),
)
