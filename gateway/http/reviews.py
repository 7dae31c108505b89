"""`/v1/reviews` and `/v1/acts`: what waits for a person, what people decide about it, and how they take it back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, TypeVar

from starlette.responses import Response

from gateway.http import schemas, sight
from gateway.http.actors import actor_of
from gateway.http.auditing import reads, records_itself
from gateway.http.paging import Page, from_text, page_of
from gateway.http.problem_types import CONFLICT, NOT_FOUND
from gateway.http.routing import Call, Operation, json_response
from gateway.http.sight import Sees
from gateway.threads import deciding
from gateway.threads.deciding import Into
from gateway.threads.reviews import ReviewView, reviews
from storage import Transaction
from storage.acts import Act, ActKind
from storage.api_keys import Scope
from storage.audit import Actor
from storage.messages import Placement
from storage.threads import Cursor, Object


@dataclass(frozen=True, slots=True, kw_only=True)
class ActView:
    """What somebody decided. The message stands in `thread_id` if its `placement` is `placed`, until it is undone."""

    id: str
    kind: ActKind
    message_id: str
    from_thread_id: str
    thread_id: str
    placement: Placement
    by: str
    done_at: datetime
    undone_by: str | None
    undone_at: datetime | None

    @classmethod
    def of(cls, act: Act) -> Self:
        """As the API shows it."""
        return cls(
            id=act.id,
            kind=act.kind,
            message_id=act.message_id,
            from_thread_id=act.before.thread_id,
            thread_id=act.after.thread_id,
            placement=act.after.placement,
            by=act.done_by,
            done_at=act.done_at,
            undone_by=act.undone_by,
            undone_at=act.undone_at,
        )


async def list_held(call: Call[schemas.ReviewsQuery]) -> Response:
    given = call.given
    of = Object(type=given.type, id=given.id) if given.type is not None and given.id is not None else None
    before = from_text(given.after)
    found = await call.services.store.read(
        reviews, call.account_id, of=of, before=before, limit=given.limit + 1, mailbox_ids=call.key.mailbox_ids
    )
    items, following = page_of(found, given.limit, lambda one: Cursor(at=one.at, id=one.id))
    return json_response(Page(items=items, next=following))


def _accept(tx: Transaction, call: Call[schemas.Acceptance]) -> Act:
    objects = tuple(Object(type=one.type, id=one.id) for one in call.given.objects)
    if call.given.thread_id is not None:
        sight.must_see(tx, call.key, Sees.THREAD, call.given.thread_id)
    into = Into(thread_id=call.given.thread_id, objects=objects)
    return deciding.accept(tx, call.account_id, call.path("id"), into=into, by=_person(call), now=call.now)


def _dismiss(tx: Transaction, call: Call[schemas.ByPerson]) -> Act:
    return deciding.dismiss(tx, call.account_id, call.path("id"), by=_person(call), now=call.now)


def _move(tx: Transaction, call: Call[schemas.Move]) -> Act:
    thread_id = call.given.thread_id
    sight.must_see(tx, call.key, Sees.THREAD, thread_id)
    return deciding.move(tx, call.account_id, call.path("id"), thread_id, by=_person(call), now=call.now)


def _unlink(tx: Transaction, call: Call[schemas.Unlinking]) -> Act:
    for_good = call.given.dismiss
    return deciding.unlink(tx, call.account_id, call.path("id"), for_good=for_good, by=_person(call), now=call.now)


def _undo(tx: Transaction, call: Call[schemas.ByPerson]) -> Act:
    return deciding.undo(tx, call.account_id, call.path("id"), by=_person(call), now=call.now)


By = TypeVar("By", bound=schemas.ByPerson)


def _person(call: Call[By]) -> Actor:
    return actor_of(call, call.given.by)


def _decision(work: Callable[[Transaction, Call[By]], Act]) -> Callable[[Call[By]], Awaitable[Response]]:
    """The operation that writes down one decision, and answers with the act."""

    async def do(call: Call[By]) -> Response:
        return json_response(ActView.of(await call.services.store.write(work, call)))

    return do


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/reviews",
        scope=Scope.READ,
        summary="What waits for a person before it is shown in a thread, newest first",
        takes=schemas.ReviewsQuery,
        does=list_held,
        audit=reads("review.list"),
        gives=Page[ReviewView],
        sees=Sees.PART,
    ),
    Operation(
        method="POST",
        path="/v1/reviews/{id}/accept",
        scope=Scope.SEND,
        summary="Let a held message stand in a thread",
        takes=schemas.Acceptance,
        does=_decision(_accept),
        audit=records_itself("review.accept"),
        gives=ActView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="POST",
        path="/v1/reviews/{id}/dismiss",
        scope=Scope.SEND,
        summary="A held message belongs nowhere",
        takes=schemas.ByPerson,
        does=_decision(_dismiss),
        audit=records_itself("review.dismiss"),
        gives=ActView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="POST",
        path="/v1/messages/{id}/move",
        scope=Scope.SEND,
        summary="Let a mail stand in another thread",
        takes=schemas.Move,
        does=_decision(_move),
        audit=records_itself("message.move"),
        gives=ActView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="POST",
        path="/v1/messages/{id}/unlink",
        scope=Scope.SEND,
        summary="Take a mail out of its thread",
        takes=schemas.Unlinking,
        does=_decision(_unlink),
        audit=records_itself("message.unlink"),
        gives=ActView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="POST",
        path="/v1/acts/{id}/undo",
        scope=Scope.SEND,
        summary="Take back what somebody decided about a message",
        takes=schemas.ByPerson,
        does=_decision(_undo),
        audit=records_itself("review.undo"),
        gives=ActView,
        problems=(NOT_FOUND, CONFLICT),
        sees=Sees.ACT,
    ),
)
