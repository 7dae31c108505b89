"""`/v1/events`: what happened, in order, by cursor and live."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from starlette.responses import Response

from gateway.http import auth, reading, schemas, values
from gateway.http.auditing import reads
from gateway.http.problems import BadValue, invalid
from gateway.http.routing import Call, Operation, json_response
from gateway.http.stream import event_stream
from gateway.threads.views import json_of
from gateway.waiting import first_of
from storage import events
from storage.api_keys import Scope
from storage.events import Event

LAST_EVENT_ID: Final = "last-event-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """Something that happened. `id` only grows; `data` holds ids and states, never mail.

    `request_id` is the X-Request-Id of the request that began it, such as the one that posted the letter.
    """

    id: str
    type: str
    thread_id: str | None
    message_id: str | None
    data: dict[str, Any]
    created_at: datetime
    request_id: str | None = None

    @classmethod
    def of(cls, event: Event) -> Self:
        """As the API shows it."""
        return cls(
            id=str(event.seq),
            type=event.type,
            thread_id=event.thread_id,
            message_id=event.message_id,
            data=event.data,
            created_at=event.created_at,
            request_id=event.origin.request_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """Part of the log. `next` is null at its end; `cursor` is where to go on from, at the end too."""

    items: Sequence[EventView]
    next: str | None
    cursor: str


async def read(call: Call[schemas.EventsQuery]) -> Response:
    given = call.given
    found = await _found(call)
    if not found and given.wait:
        call.services.crowd.streams.take(call.request, call.key.id)
        patience = call.services.clock.sleep(timedelta(seconds=given.wait))
        await first_of(_something_new(call), patience, call.services.stopping.wait())
        found = await _found(call)
    shown = found[: given.limit]
    cursor = str(shown[-1].seq if shown else given.after)
    return json_response(
        EventsView(
            items=[EventView.of(one) for one in shown],
            next=cursor if len(found) > given.limit else None,
            cursor=cursor,
        )
    )


async def _found(call: Call[schemas.EventsQuery]) -> Sequence[Event]:
    return await call.services.store.read(events.after, call.account_id, call.given.after, limit=call.given.limit + 1)


async def _something_new(call: Call[schemas.EventsQuery]) -> None:
    """Come back when there is an event. Watching begins before looking, so none can slip through."""
    with call.services.store.watching("events") as bell:
        while not await call.services.store.glance(events.after, call.account_id, call.given.after, limit=1):
            await bell.wait()
            bell.clear()


async def stream(call: Call[schemas.EventStreamQuery]) -> Response:
    store = call.services.store
    call.services.crowd.streams.take(call.request, call.key.id)
    after = _last_event_id(call)
    if after is None:
        after = call.given.after
    if after is None:
        after = await store.read(events.last_seq, call.account_id)

    async def allowed() -> bool:
        return await store.glance(auth.live, call.key.id, call.now) is not None

    return event_stream(call.services, call.account_id, after=after, to_lines=_message, allowed=allowed)


def _last_event_id(call: Call[schemas.EventStreamQuery]) -> int | None:
    text = reading.header(call.request, LAST_EVENT_ID)
    if text is None:
        return None
    if (seq := values.seq_of(text)) is None:
        raise invalid(BadValue(where="header", pointer="/" + LAST_EVENT_ID, detail="This is not the id of an event."))
    return seq


def _message(event: Event) -> str:
    data = json_of(EventView.of(event)).decode()
    return f"id: {event.seq}\nevent: {event.type}\ndata: {data}\n\n"


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/events",
        scope=Scope.READ,
        summary="What happened after an event, oldest first",
        takes=schemas.EventsQuery,
        does=read,
        audit=reads("event.list"),
        gives=EventsView,
    ),
    Operation(
        method="GET",
        path="/v1/events/stream",
        scope=Scope.READ,
        summary="What happens, live (server-sent events)",
        takes=schemas.EventStreamQuery,
        does=stream,
        audit=reads("event.list"),
        gives=EventView,
        media_type="text/event-stream",
        headers={"Last-Event-ID": "The id of the last event that came before the connection broke."},
    ),
)
