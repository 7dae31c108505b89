"""`/v1/threads` and `/v1/objects`: the correspondence, by thread and by the record of SELMA's that it concerns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.actors import actor_of
from gateway.http.auditing import reads, records_itself
from gateway.http.paging import Page, from_text, not_ours, page_of, to_text
from gateway.http.problem_types import CONFLICT, NOT_FOUND
from gateway.http.problems import BadValue, invalid
from gateway.http.routing import Call, Operation, json_response, no_content
from gateway.http.sight import Sees, sees_mailbox
from gateway.threads import objects
from gateway.threads.search import FoundThread, Question, search
from gateway.threads.views import Entry, MessageView, ThreadView, conversation, feed, thread_view
from storage import NotFound, Transaction, accounts, mailboxes, read_marks, threads
from storage.api_keys import ApiKey, Scope
from storage.threads import Cursor, Object, ObjectType


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeThreadView(ThreadView):
    """A thread and all that stands in it, in order."""

    messages: Sequence[MessageView]


async def list_newest(call: Call[schemas.ThreadsQuery]) -> Response:
    return await _listed(call, call.given.what())


async def show(call: Call[schemas.Nothing]) -> Response:
    services = call.services
    found = await services.store.read(conversation, call.account_id, call.path("id"), services.bodies)
    of_thread = {field.name: getattr(found.thread, field.name) for field in fields(found.thread)}
    return json_response(WholeThreadView(**of_thread, messages=found.messages))


async def of_object(call: Call[schemas.ObjectThreadsQuery]) -> Response:
    return await _listed(call, _object(call))


async def events_of_object(call: Call[schemas.PageQuery]) -> Response:
    before, limit = from_text(call.given.after), call.given.limit
    found = await call.services.store.read(
        feed, call.account_id, _object(call), before=before, limit=limit + 1, mailbox_ids=call.key.mailbox_ids
    )
    items, following = page_of(found, limit, lambda one: Cursor(at=one.time, id=one.id))
    return json_response(Page(items=items, next=following))


async def link(call: Call[schemas.Linking]) -> Response:
    what = Object(type=call.given.type, id=call.given.id)
    return json_response(await call.services.store.write(_link, call, what))


def _link(tx: Transaction, call: Call[schemas.Linking], what: Object) -> ThreadView:
    objects.link(tx, call.account_id, call.path("id"), what, by=actor_of(call, call.given.by), now=call.now)
    return thread_view(tx, threads.get(tx, call.account_id, call.path("id")))


async def unlink(call: Call[schemas.StaffQuery]) -> Response:
    by, thread_id = actor_of(call, call.given.by), call.path("id")
    what = _object(call, id="object_id")
    await call.services.store.write(objects.unlink, call.account_id, thread_id, what, by=by, now=call.now)
    return no_content()


async def _listed(call: Call[Any], what: Object | None) -> Response:
    before, store = from_text(call.given.after), call.services.store
    question = await _question(call, what)
    if question.is_about_messages:
        call.deed.is_called("thread.search")
    try:
        shown, following = await store.read(
            _found, call.account_id, question, call.given.reader, before=before, limit=call.given.limit
        )
    except NotFound:
        raise not_ours() from None
    return json_response(Page(items=shown, next=None if following is None else to_text(following)))


def _found(
    tx: Transaction, account_id: str, question: Question, reader: str | None, *, before: Cursor | None, limit: int
) -> tuple[Sequence[FoundThread], Cursor | None]:
    found = search(tx, account_id, question, before, limit=limit)
    if reader is None:
        return found.threads, found.next
    read = [replace(one, unread=len(read_marks.unseen(tx, one.id, reader))) for one in found.threads]
    return read, found.next


async def _question(call: Call[Any], what: Object | None) -> Question:
    """In the account's time zone, which only dates need; in a mailbox of the key, when it is held to some."""
    time_zone = "UTC"
    if call.given.names_days:
        time_zone = (await call.services.store.read(accounts.get, call.account_id)).time_zone
    try:
        question: Question = call.given.question(time_zone, what)
    except OverflowError:
        pointer = "/from" if call.given.to is None else "/to"
        raise invalid(
            BadValue(where="query", pointer=pointer, detail="There is no such day to begin or end.")
        ) from None
    if call.key.mailbox_ids is None:
        return question
    return await call.services.store.read(_in_sight, call.key, question)


def _in_sight(tx: Transaction, key: ApiKey, question: Question) -> Question:
    """The same, of a mailbox that the key is held to. Raises `Problem` (422) when it must be said which."""
    if question.mailbox is None:
        own = [mailboxes.get(tx, one).address for one in key.mailbox_ids or ()]
        if len(own) != 1:
            detail = "This API key is held to several mailboxes: name the one to look in."
            raise invalid(BadValue(where="query", pointer="/mailbox", detail=detail))
        return replace(question, mailbox=own[0])
    found = mailboxes.ever(tx, key.account_id, question.mailbox)
    return question if found is not None and sees_mailbox(key, found.id) else replace(question, nowhere=True)


def _object(call: Call[Any], *, id: str = "id") -> Object:
    """The object that the path names. Of SELMA's ids we know nothing: one without letters is simply empty."""
    try:
        return Object(type=ObjectType(call.path("type")), id=call.path(id))
    except ValueError:
        detail = f"This must be one of {', '.join(ObjectType)}."
        raise invalid(BadValue(where="path", pointer="/type", detail=detail)) from None


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/threads",
        scope=Scope.READ,
        summary="The threads, newest first: all, or those that are searched for",
        takes=schemas.ThreadsQuery,
        does=list_newest,
        audit=reads("thread.list"),
        gives=Page[FoundThread],
        sees=Sees.PART,
    ),
    Operation(
        method="GET",
        path="/v1/threads/{id}",
        scope=Scope.READ,
        summary="One thread with its messages, in order",
        takes=schemas.Nothing,
        does=show,
        audit=reads("thread.read", id="thread_id"),
        gives=WholeThreadView,
        problems=(NOT_FOUND,),
        sees=Sees.THREAD,
    ),
    Operation(
        method="POST",
        path="/v1/threads/{id}/objects",
        scope=Scope.SEND,
        summary="Show a thread with another of SELMA's records, too",
        takes=schemas.Linking,
        does=link,
        audit=records_itself("thread.link"),
        gives=ThreadView,
        problems=(NOT_FOUND,),
        sees=Sees.THREAD,
    ),
    Operation(
        method="DELETE",
        path="/v1/threads/{id}/objects/{type}/{object_id:path}",
        scope=Scope.SEND,
        summary="Show a thread with this record no more; its last record stays",
        takes=schemas.StaffQuery,
        does=unlink,
        audit=records_itself("thread.unlink"),
        status=HTTPStatus.NO_CONTENT,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.THREAD,
    ),
    # SELMA's ids may hold a slash: hence `:path`.
    Operation(
        method="GET",
        path="/v1/objects/{type}/{id:path}/threads",
        scope=Scope.READ,
        summary="The threads about one of SELMA's records, newest first: all, or those that are searched for",
        takes=schemas.ObjectThreadsQuery,
        does=of_object,
        audit=reads("object.list_threads", type="object_type", id="object_id"),
        gives=Page[FoundThread],
        sees=Sees.PART,
    ),
    Operation(
        method="GET",
        path="/v1/objects/{type}/{id:path}/events",
        scope=Scope.READ,
        summary="The messages about one of SELMA's records in one list, newest first",
        takes=schemas.PageQuery,
        does=events_of_object,
        audit=reads("object.read_events", type="object_type", id="object_id"),
        gives=Page[Entry],
        sees=Sees.PART,
    ),
)
