"""The Events tab of an object: its threads, one thread, and what changes while somebody looks.

The same pages for those who are signed in and, in an iframe of SELMA's, for the bearer of an embed link.
"""

import contextlib
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response, StreamingResponse

from gateway.http.pages.errors import no_such_page
from gateway.http.pages.events_view import EventsView, Looking, ShownThread, read_events, read_thread
from gateway.http.pages.guard import Guard, Visit
from gateway.http.pages.live import live, position
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.sessions import embed_path
from gateway.http.paging import from_text
from gateway.http.routing import json_response
from gateway.http.services import Services
from storage import StorageUnavailable, Transaction, events, read_marks
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
    """`/objects/…` and `/embed/…`."""

    def __init__(self, services: Services, guard: Guard, renderer: Renderer) -> None:
        self._services = services
        self._guard = guard
        self._renderer = renderer

    async def choose(self, visit: Visit) -> Response:
        """`GET /objects`: which record's Events tab to open."""
        query = visit.request.query_params
        object_type, object_id = query.get("type", "student"), query.get("id", "").strip()
        if object_id and object_type in set(ObjectType):
            path = _path(Object(type=ObjectType(object_type), id=object_id))
            return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER)
        return self._renderer.page("objects.html", visit=visit, types=TYPES, chosen=object_type)

    async def show(self, visit: Visit) -> Response:
        """`GET …/events`: the threads, newest first; with `?open=all`, each of them opened."""
        query = visit.request.query_params
        before, open_all = from_text(query.get("before")), query.get("open") == "all"
        services, what, looking = self._services, object_of(visit), self.looking(visit)
        view = await services.store.read(
            read_events, visit.account.id, what, before, looking, services.bodies, open_all=open_all
        )
        await self._seen(visit, view)
        return self.page(visit, "events.html", view=view, is_first=before is None, open_all=open_all)

    async def thread(self, visit: Visit) -> Response:
        """`GET …/events/threads/{thread_id}`: one thread as a page of its own."""
        view = await self.read_thread(visit)
        await self._seen(visit, view)
        return self.thread_page(visit, view)

    async def part(self, visit: Visit) -> Response:
        """`GET …/events/threads/{thread_id}/part`: one thread, for the script to put into the page."""
        view = await self.read_thread(visit)
        return self.page(visit, "_thread.html", view=view, shown=view.threads[0], opened=True)

    async def stream(self, visit: Visit) -> Response:
        """`GET …/events/stream`: which threads change, from `Last-Event-ID` or `?after=` on, else from now on."""
        request = visit.request
        self._services.crowd.streams.take(request, visit.staff and f"{visit.key.id} {visit.staff}")
        after = position(request.headers.get("last-event-id"), request.query_params.get("after"))
        if after is None:
            after = await self._services.store.read(events.last_seq, visit.account.id)

        async def allowed() -> bool:
            return await self._guard.still_welcome(visit)

        return StreamingResponse(
            live(self._services, visit.account.id, object_of(visit), after=after, allowed=allowed),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def renew(self, visit: Visit) -> Response:
        """`POST …/events/renew`: where an embedded page that is still open goes on, and for how many seconds."""
        return json_response({"base": self.base_of(visit), "good_for_s": good_for_s(visit)})

    def base_of(self, visit: Visit) -> str:
        """Where this Events tab is; of an embedded one, with a fresh token, so that each page is good for a while."""
        if visit.embedded is None:
            return _path(object_of(visit))
        return embed_path(self._services.session_key, visit.embedded.renewed(visit.now))

    async def read_thread(self, visit: Visit) -> EventsView:
        """One thread of this tab. Raises `storage.NotFound`."""
        services, what, looking = self._services, object_of(visit), self.looking(visit)
        thread_id = visit.path("thread_id")
        return await services.store.read(read_thread, visit.account.id, what, thread_id, looking, services.bodies)

    def thread_page(
        self, visit: Visit, view: EventsView, shown: ShownThread | None = None, *, status: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        """The page of one thread; `shown` in place of what was read."""
        return self.page(visit, "thread.html", view=view, shown=shown or view.threads[0], status=status)

    def looking(self, visit: Visit) -> Looking:
        """Who looks."""
        return Looking(
            staff=visit.staff,
            may_reply=visit.may_reply,
            allowance=self._services.settings.rules.allowance,
            now=visit.now,
        )

    async def _seen(self, visit: Visit, view: EventsView) -> None:
        """Who opens a page has read the threads that stand open on it."""
        new = [one.thread.id for one in view.threads if one.messages is not None and one.unseen]
        if visit.staff is None or not new or visit.request.method == "HEAD":
            return
        with contextlib.suppress(StorageUnavailable):  # the page can be read all the same
            await self._services.store.write(_mark_all, visit, visit.staff, new, view.seq)

    def page(self, visit: Visit, template: str, *, status: HTTPStatus = HTTPStatus.OK, **context: Any) -> Response:
        """A page of this tab."""
        what = object_of(visit)
        return self._renderer.page(
            template,
            status=status,
            visit=visit,
            base=self.base_of(visit),
            own=_path(what),
            title=f"{TYPES[what.type]} {what.id}",
            good_for_s=good_for_s(visit),
            **context,
        )


def _mark_all(tx: Transaction, visit: Visit, staff: str, thread_ids: list[str], seq: int) -> None:
    for thread_id in thread_ids:
        read_marks.mark_read(tx, visit.account.id, thread_id, staff, up_to=seq, now=visit.now)


def object_of(visit: Visit) -> Object:
    """Whose Events tab it is. An embed link says it; nothing in the address can change that."""
    if visit.embedded is not None:
        return visit.embedded.what
    object_type = visit.path("type")
    if object_type not in set(ObjectType):
        raise no_such_page()
    return Object(type=ObjectType(object_type), id=visit.path("id"))


def good_for_s(visit: Visit) -> int | None:
    """For how many seconds an embedded page's addresses are good; None for those who are signed in."""
    if visit.embedded is None:
        return None
    return int((visit.embedded.renewed(visit.now).ends_at - visit.now).total_seconds())


def _path(what: Object) -> str:
    return f"/objects/{what.type}/{quote(what.id, safe='')}/events"
