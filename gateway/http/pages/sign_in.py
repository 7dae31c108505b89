"""Signing in with an API key or by a link, and signing out."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.http import auth
from gateway.http.auditing import actor, unaudited
from gateway.http.auth import LONGEST_KEY
from gateway.http.pages.errors import PageError
from gateway.http.pages.guard import Guard
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.sessions import Session, Sessions, local_path, read_ticket
from gateway.http.services import Services
from storage import api_keys
from storage.api_keys import ApiKey
from storage.audit import Entry, Via

WRONG_KEY = "This key is unknown, was revoked, or is over. Check that you copied all of it."
LIMITED = "This key is held to some mailboxes, and pages tell of the whole account. Sign in with another key."
STALE_LINK = "This link is no longer good. Ask for a new one, or sign in with an API key."


class SignIn:
    """`/`, `/sign-in` and `/sign-out`."""

    def __init__(self, services: Services, sessions: Sessions, guard: Guard, renderer: Renderer) -> None:
        self._services = services
        self._sessions = sessions
        self._guard = guard
        self._renderer = renderer

    async def front(self, request: Request) -> Response:
        """`GET /`: to where the key leads; `NotSignedIn` leads to the form."""
        visit = await self._guard.visit(request, unaudited("It only leads on."))
        return _go("/settings" if api_keys.Scope.SETTINGS in visit.key.scopes else "/objects")

    async def show(self, request: Request) -> Response:
        """`GET /sign-in`: the form, or straight in with a ticket."""
        to = local_path(request.query_params.get("next", "/"))
        ticket = request.query_params.get("ticket")
        if ticket is None:
            return self._form(request, to)
        now = self._services.clock.now()
        key_id = read_ticket(self._services.session_key, ticket, now=now)
        key = None if key_id is None else await self._services.store.read(auth.live, key_id, now)
        if key is not None:
            await self._is_let_in(request, key)
            return self._guard.remember(_go(to), self._sessions.open(key.id, now=now))
        if await self._guard.is_signed_in(request):
            return _go(to)  # a link that was used before, opened again
        return self._form(request, to, problem=STALE_LINK, status=HTTPStatus.UNAUTHORIZED)

    async def enter(self, request: Request) -> Response:
        """`POST /sign-in`."""
        before = self._guard.session(request)
        if before is None:
            raise PageError(
                HTTPStatus.FORBIDDEN,
                "You are not signed in yet",
                "The sign-in page was open for too long, or your browser keeps no cookies of this site. "
                "Go back, reload the page, and try again.",
            )
        form = await self._guard.form(request, before)
        to = local_path(form.get("next", "/"))
        key = await self._services.store.read(api_keys.find, form.get("key", "").strip()[: LONGEST_KEY + 1])
        now = self._services.clock.now()
        if key is None or key.is_over(now):
            return self._form(request, to, problem=WRONG_KEY, status=HTTPStatus.UNAUTHORIZED)
        auth.check_address(key, request)
        if key.mailbox_ids is not None:
            return self._form(request, to, problem=LIMITED, status=HTTPStatus.FORBIDDEN)
        await self._is_let_in(request, key)
        return self._guard.remember(_go(to), self._sessions.open(key.id, now=now))

    async def _is_let_in(self, request: Request, key: ApiKey) -> None:
        by, now = actor(request, key, Via.PAGE, None), self._services.clock.now()
        entry = Entry(account_id=key.account_id, actor=by, act="key.sign_in", targets={"key_id": key.id}, at=now)
        await self._services.trail.did(entry)

    async def leave(self, request: Request) -> Response:
        """`POST /sign-out`."""
        session = self._guard.session(request)
        if session is not None:
            await self._guard.form(request, session)
            await self._guard.end(session)
        response = self._guard.forget(_go("/sign-in"))
        response.headers["clear-site-data"] = '"storage"'  # what was being written when the browser's owner left
        return response

    def _form(
        self, request: Request, to: str, *, problem: str | None = None, status: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        session = self._guard.session(request)
        fresh: Session = session or self._sessions.open(None, now=self._services.clock.now())
        token = self._sessions.form_token(fresh)
        response = self._renderer.page("sign_in.html", status=status, next=to, problem=problem, form_token=token)
        return response if session is not None else self._guard.remember(response, fresh)


def _go(path: str) -> Response:
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER, headers={"cache-control": "no-store"})
