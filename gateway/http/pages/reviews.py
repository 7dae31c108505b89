"""The review tray as a page: what waits for a person, what they decide, and how they take it back. Without script."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from gateway.http.auditing import actor
from gateway.http.pages.errors import PageError, no_such_page
from gateway.http.pages.guard import Visit
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.reviews_view import NEW_THREAD, read_tray
from gateway.http.paging import from_text
from gateway.http.services import Services
from gateway.threads import deciding
from gateway.threads.deciding import PROPOSED, Into
from storage import Transaction, messages, threads
from storage.acts import Act
from storage.api_keys import Scope
from storage.audit import Actor, Via
from storage.threads import Object, ObjectType

PAGE: Final = "/reviews"
LONGEST_NAME: Final = 200


class Reviews:
    """`/reviews` and what its forms do."""

    def __init__(self, services: Services, renderer: Renderer) -> None:
        self._services = services
        self._renderer = renderer

    async def show(self, visit: Visit) -> Response:
        """`GET /reviews`: all, or with `?type=…&id=…` what may belong to the threads of one record."""
        query = visit.request.query_params
        before = from_text(query.get("before"))
        of, act_id = _object(query.get("type"), query.get("id")), query.get("act")
        view = await self._services.store.read(
            read_tray, visit.account.id, of=of, before=before, act_id=act_id, now=visit.now
        )
        return self._renderer.page(
            "reviews.html",
            visit=visit,
            view=view,
            staff=view.staff,
            may_decide=Scope.SEND in visit.key.scopes,
            here=urlencode({"type": of.type, "id": of.id}) if of is not None else "",
        )

    async def accept(self, visit: Visit) -> Response:
        """`POST …/accept`: into the proposed thread, into `thread`, or into a new one about the same records."""
        act = await self._services.store.write(_accept, visit, _person(visit))
        return _back(visit, act)

    async def dismiss(self, visit: Visit) -> Response:
        """`POST …/dismiss`."""
        message_id, by = visit.form.get("id", ""), _person(visit)
        act = await self._services.store.write(deciding.dismiss, visit.account.id, message_id, by=by, now=visit.now)
        return _back(visit, act)

    async def unlink(self, visit: Visit) -> Response:
        """`POST …/unlink`, from an Events page: a mail that stands in the wrong thread comes back into the tray."""
        message_id, by = visit.form.get("id", ""), _person(visit)
        act = await self._services.store.write(deciding.unlink, visit.account.id, message_id, by=by, now=visit.now)
        return _back(visit, act)

    async def undo(self, visit: Visit) -> Response:
        """`POST …/undo`: of any act, also of those that were done elsewhere."""
        act_id, by = visit.form.get("id", ""), _person(visit)
        act = await self._services.store.write(deciding.undo, visit.account.id, act_id, by=by, now=visit.now)
        return _back(visit, act)

    async def again(self, visit: Visit) -> Response:
        """A form's address, opened as if it were a page."""
        return RedirectResponse(PAGE, status_code=HTTPStatus.SEE_OTHER)


def _accept(tx: Transaction, visit: Visit, by: Actor) -> Act:
    account_id, message_id = visit.account.id, visit.form.get("id", "")
    into, thread = PROPOSED, visit.form.get("thread", "")
    if thread == NEW_THREAD:
        proposed = messages.get(tx, account_id, message_id).thread_id
        into = Into(objects=tuple(threads.objects_of(tx, proposed)))
    elif thread:
        into = Into(thread_id=thread)
    return deciding.accept(tx, account_id, message_id, into=into, by=by, now=visit.now)


def _person(visit: Visit) -> Actor:
    """Whoever decides. Raises `PageError` when they do not say."""
    name = " ".join(visit.form.get("by", "").split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise PageError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Nothing was changed",
            "Say who decides: go back, enter your name, and try again.",
        )
    return actor(visit.request, visit.key, Via.PAGE, name)


def _object(object_type: str | None, object_id: str | None) -> Object | None:
    if not object_type and not object_id:
        return None
    if object_type not in set(ObjectType) or not object_id:
        raise no_such_page()
    return Object(type=ObjectType(object_type), id=object_id)


def _back(visit: Visit, act: Act) -> Response:
    """To the tray as it was, with what was done and a way to take it back."""
    fields = {name: visit.form[name] for name in ("type", "of") if visit.form.get(name)}
    query = {"type": fields.get("type"), "id": fields.get("of"), "act": act.id}
    return RedirectResponse(
        f"{PAGE}?{urlencode({name: value for name, value in query.items() if value})}",
        status_code=HTTPStatus.SEE_OTHER,
        headers={"cache-control": "no-store"},
    )
