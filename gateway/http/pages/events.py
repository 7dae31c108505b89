"""The Events tab of an object: its threads, one thread, and what changes while somebody looks."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response, StreamingResponse

from gateway.http.pages.errors import no_such_page
from gateway.http.pages.events_view import read_events, read_thread
from gateway.http.pages.guard import Guard, Visit
from gateway.http.pages.live import live, position
from gateway.http.pages.rendering import Renderer
from gateway.http.paging import from_text
from gateway.http.services import Services
from storage import events
from storage.threads import Object, ObjectType

TYPES: Final = {
    ObjectType.STUDENT: "Student",
    ObjectType.ENROLMENT: "Enrolment",
    ObjectType.INTAKE: "Intake",
    ObjectType.CLASS: "Class",
    ObjectType.CONTACT: "Contact",
    ObjectType.ORGANISATION: "Organisation",
    ObjectType.USER: "User",
}


class Events:
    """`/objects/…`."""

    def __init__(self, services: Services, guard: Guard, renderer: Renderer) -> None:
        self._services = services
        self._guard = guard
        self._renderer = renderer

    async def choose(self, visit: Visit) -> Response:
        """`GET /objects`: which record's Events tab to open."""
        query = visit.request.query_params
        object_type, object_id = query.get("type", "student"), query.get("id", "").strip()
        if object_id and object_type in set(ObjectType):
            path = base_path(Object(type=ObjectType(object_type), id=object_id))
            return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)
        return self._renderer.page("objects.html", visit=visit, types=TYPES, chosen=object_type)

    async def show(self, visit: Visit) -> Response:
        """`GET …/events`: the threads, newest first."""
        what, before = _object(visit), from_text(visit.request.query_params.get("before"))
        view = await self._services.store.read(read_events, visit.account.id, what, before)
        return self._renderer.page(
            "events.html",
            visit=visit,
            view=view,
            base=base_path(what),
            title=_title(what),
            is_first=before is None,
        )

    async def thread(self, visit: Visit) -> Response:
        """`GET …/events/threads/{thread_id}`: one thread as a page of its own."""
        what = _object(visit)
        view = await self._services.store.read(read_thread, visit.account.id, what, visit.path("thread_id"))
        return self._renderer.page(
            "thread.html", visit=visit, view=view, base=base_path(what), title=_title(what), shown=view.threads[0]
        )

    async def part(self, visit: Visit) -> Response:
        """`GET …/events/threads/{thread_id}/part`: one thread, for the script to put into the page."""
        what = _object(visit)
        view = await self._services.store.read(read_thread, visit.account.id, what, visit.path("thread_id"))
        return self._renderer.page(
            "_thread.html", visit=visit, base=base_path(what), shown=view.threads[0], opened=True
        )

    async def stream(self, visit: Visit) -> Response:
        """`GET …/events/stream`: which threads change, from `Last-Event-ID` or `?after=` on, else from now on."""
        what, request = _object(visit), visit.request
        after = position(request.headers.get("last-event-id"), request.query_params.get("after"))
        if after is None:
            after = await self._services.store.read(events.last_seq, visit.account.id)

        async def allowed() -> bool:
            return await self._guard.still_welcome(visit)

        return StreamingResponse(
            live(self._services, visit.account.id, what, after=after, allowed=allowed),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )


def base_path(what: Object) -> str:
    """Where the Events tab of an object is."""
    return f"/objects/{what.type}/{quote(what.id, safe='')}/events"


def _title(what: Object) -> str:
    return f"{TYPES[what.type]} {what.id}"


def _object(visit: Visit) -> Object:
    object_type = visit.path("type")
    if object_type not in set(ObjectType):
        raise no_such_page()
    return Object(type=ObjectType(object_type), id=visit.path("id"))
